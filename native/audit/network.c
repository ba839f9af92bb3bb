// Addresses that a command speaks to: of the network, and of sockets with a name.

#include "audit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MESSAGES_MAX 1024
// linux/net.h: which socket call, and a pointer to its arguments.
enum { CALL_BIND = 2, CALL_CONNECT = 3, CALL_SENDTO = 11, CALL_SENDMSG = 16, CALL_SENDMMSG = 20 };

static void note_address(const struct task *task, const char *verb, const char *address) {
  char text[PATH_MAX + 64];
  snprintf(text, sizeof text, "%s %s", verb, address);
  record(NETWORK_ENTRY, task->program, 0, text);
}

static void note_unix(const struct task *task, const char *verb, const struct sockaddr_un *address,
                      size_t size) {
  char name[sizeof address->sun_path + 1] = "", text[PATH_MAX + 8];
  struct place place;
  if (size <= offsetof(struct sockaddr_un, sun_path)) return;
  size_t length = size - offsetof(struct sockaddr_un, sun_path);
  if (address->sun_path[0] == '\0') {
    snprintf(text, sizeof text, "unix @%.*s", (int)length - 1, address->sun_path + 1);
    note_address(task, verb, text);
    return;
  }
  snprintf(name, sizeof name, "%.*s", (int)length, address->sun_path);
  if (!resolve(task, AT_FDCWD, name, FOLLOW | CREATING, &place)) return;
  bool binds = strcmp(verb, "bind") == 0;
  if (!place.exists && !binds) return;
  if (binds) record(FILE_ENTRY, task->program, CREATED, place.path);
  snprintf(text, sizeof text, "unix %s", place.path);
  note_address(task, verb, text);
}

static void observe_address(const struct task *task, const char *verb, uint64_t at, uint64_t size) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
  } address = {0};
  char host[INET6_ADDRSTRLEN] = "", text[128];
  if (at == 0 || size < sizeof(sa_family_t)) return;
  if (size > sizeof address) size = sizeof address;
  if (!read_memory(task->id, at, &address, size)) return;
  switch (address.any.sa_family) {
  case AF_UNSPEC:
  case AF_NETLINK: return; // it speaks to nobody, and to the kernel
  case AF_UNIX: note_unix(task, verb, &address.local, size); return;
  case AF_INET:
    inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof host);
    snprintf(text, sizeof text, "%s:%d", host, ntohs(address.v4.sin_port));
    break;
  case AF_INET6:
    inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof host);
    snprintf(text, sizeof text, "[%s]:%d", host, ntohs(address.v6.sin6_port));
    break;
  default: snprintf(text, sizeof text, "family %d", address.any.sa_family);
  }
  note_address(task, verb, text);
}

// A question for the address of a name (RFC 1035, 4.1): what a resolver sends on a socket that is
// connected already. 12 bytes of header, of which one question and nothing else, then its name.
static void observe_question(const struct task *task, uint64_t at, uint64_t size) {
  static const uint8_t one_question[] = {0, 1, 0, 0, 0, 0};
  uint8_t packet[512];
  char name[sizeof packet] = "";
  size_t length = 0;
  if (at == 0 || size < 17 || size > sizeof packet) return;
  if (!read_memory(task->id, at, packet, size)) return;
  if ((packet[2] & 0xf8) != 0 || memcmp(packet + 4, one_question, sizeof one_question) != 0) return;
  for (size_t here = 12; packet[here] != 0;) {
    const uint8_t part = packet[here++];
    if (part > 63 || here + part + 5 > size) return;
    if (length > 0) name[length++] = '.';
    for (size_t i = 0; i < part; i++) {
      const uint8_t byte = packet[here++];
      if (byte <= ' ' || byte > '~') return;
      name[length++] = (char)byte;
    }
  }
  if (length > 0) note_address(task, "lookup", name);
}

// A message is the address, its size, and where the parts are that it has.
static void observe_message(const struct task *task, uint64_t at, bool narrow) {
  uint64_t head[4] = {0}, part[2] = {0};
  if (narrow) {
    uint32_t words[4], pair[2];
    if (!read_memory(task->id, at, words, sizeof words)) return;
    for (size_t i = 0; i < 4; i++) head[i] = words[i];
    if (read_memory(task->id, head[2], pair, sizeof pair)) part[0] = pair[0], part[1] = pair[1];
  } else {
    if (!read_memory(task->id, at, head, sizeof head)) return;
    if (!read_memory(task->id, head[2], part, sizeof part)) part[0] = 0;
  }
  observe_address(task, "connect", head[0], (uint32_t)head[1]);
  if (head[3] == 1) observe_question(task, part[0], part[1]);
}

static void observe_messages(const struct task *task, uint64_t at, uint64_t count, bool narrow) {
  if (count > MESSAGES_MAX) count = MESSAGES_MAX;
  for (uint64_t i = 0; i < count; i++) observe_message(task, at + i * (narrow ? 32 : 64), narrow);
}

static void observe_socket_call(const struct task *task, const struct stopped *stopped) {
  uint32_t words[6] = {0};
  uint64_t which = stopped->arguments[0];
  size_t count = which == CALL_SENDTO ? 6 : 3;
  if (!read_memory(task->id, stopped->arguments[1], words, count * sizeof *words)) return;
  if (which == CALL_BIND) observe_address(task, "bind", words[1], words[2]);
  if (which == CALL_CONNECT) observe_address(task, "connect", words[1], words[2]);
  if (which == CALL_SENDTO) {
    observe_address(task, "connect", words[4], words[5]);
    observe_question(task, words[1], words[2]);
  }
  if (which == CALL_SENDMSG) observe_message(task, words[1], true);
  if (which == CALL_SENDMMSG) observe_messages(task, words[1], words[2], true);
}

void observe_network(const struct task *task, const struct stopped *stopped) {
  const struct call *call = stopped->call;
  uint64_t at = stopped->arguments[call->path];
  switch (call->act) {
  case ACT_ADDRESS:
    observe_address(task, "connect", at, stopped->arguments[call->flags]);
    // That of sendto stands behind what is sent.
    if (call->path == 4) observe_question(task, stopped->arguments[1], stopped->arguments[2]);
    return;
  case ACT_BIND: observe_address(task, "bind", at, stopped->arguments[call->flags]); return;
  case ACT_MESSAGE: observe_message(task, at, stopped->narrow); return;
  case ACT_MESSAGES:
    observe_messages(task, at, stopped->arguments[call->flags], stopped->narrow);
    return;
  default: observe_socket_call(task, stopped); return;
  }
}
