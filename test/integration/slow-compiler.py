# A compiler that can stay: copies a file in capitals, says how many requests it has had, and does
# whatever else a test asks of it. Arguments: DEED INPUT OUTPUT, each a line of a flag file.
import base64, json, os, signal, sys, time

count = 0


def lines_of(word):
    if not word.startswith("@"):
        return [word]
    with open(word[1:]) as file:
        return file.read().split("\n")


def compile(words):
    global count
    count += 1
    deed, source, target = words[:3]
    if deed == "fail":
        return 3, "no such thing\n"
    if deed == "hog":
        held = bytearray(900 << 20)
        held[::4096] = b"x" * len(held[::4096])
    if deed == "litter":
        os.makedirs("left/over", exist_ok=True)
        open("left/over/file", "w").close()
        os.chmod("left", 0)
        os.mkfifo("pipe")
        open("/tmp/left", "w").close()
    if deed == "spoil":
        for path in (source, "compiler.py"):
            try:
                with open(path, "w") as file:
                    file.write("spoilt")
            except OSError:
                os.unlink(path)
                with open(path, "w") as file:
                    file.write("spoilt")
        return 0, ""
    with open(source) as file:
        text = file.read()
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    out = open(target, "w")
    out.write(text.upper())
    out.flush()
    if deed == "hold":
        held_open.append(out)
    if deed == "change" and held_open:
        held_open[0].write("changed later")
        held_open[0].flush()
    if deed == "fifo":
        os.unlink(target)
        os.mkfifo(target)
    names = sorted(name for name in os.listdir(".") if name not in ("compiler.py", "flags"))
    return 0, "request %d in %d sees %s\n" % (count, os.getpid(), ",".join(names))


held_open = []


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def read_varint(stream):
    value = shift = 0
    while True:
        byte = stream.read(1)
        if not byte:
            sys.exit(0)
        value |= (byte[0] & 127) << shift
        shift += 7
        if byte[0] < 128:
            return value


def read_request(stream):
    import io

    message = io.BytesIO(stream.read(read_varint(stream)))
    words = []
    size = len(message.getvalue())
    while message.tell() < size:
        tag = read_varint(message)
        if tag & 7 == 0:
            read_varint(message)
            continue
        bytes_ = message.read(read_varint(message))
        if tag >> 3 == 1:
            words.append(bytes_.decode())
    return words


def response(code, output, request_id=0):
    body = b"\x08" + varint(code) + b"\x12" + varint(len(output.encode())) + output.encode()
    if request_id:
        body += b"\x18" + varint(request_id)
    return varint(len(body)) + body


def hostile(deed):
    if deed == "silent":
        time.sleep(3600)
    if deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "garbage":
        return b"this is no answer at all\n" * 20
    if deed == "noise":
        return b"\xff" * 20
    if deed == "other":
        return response(0, "", 7)
    if deed == "huge":
        return varint(1 << 34) + b"x" * 70000
    if deed == "twice":
        return response(0, "") * 2
    if deed == "orphan":
        if os.fork() == 0:
            while True:
                os.kill(os.getppid(), signal.SIGCONT) if os.getppid() > 1 else time.sleep(1)
    return b""


if "--persistent_worker" not in sys.argv:
    words = [line for word in sys.argv[1:] for line in lines_of(word)]
    code, output = compile([word for word in words if word != ""])
    sys.stderr.write("plain " + output)
    sys.exit(code)
is_json = "--json" in sys.argv
while True:
    if is_json:
        line = sys.stdin.readline()
        if line == "":
            sys.exit(0)
        request = json.loads(line)
        assert request["requestId"] == 0
        assert len(base64.b64decode(request["inputs"][0]["digest"])) == 64
        code, output = compile(request["arguments"])
        answer = json.dumps({"exitCode": code, "output": output, "requestId": 0}).encode() + b"\n"
    else:
        words = read_request(sys.stdin.buffer)
        answer = hostile(words[0])
        if answer == b"":
            answer = response(*compile(words))
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
