import { privateKeyFromProtobuf, publicKeyToProtobuf } from "@libp2p/crypto/keys";
import { beforeAll, expect, test } from "vitest";
import {
  chooseInvitation,
  knockAtTerminal,
  noTerminal,
  renderMeshes,
} from "../../../cli/choose-mesh.ts";
import { generateNodeKey, peerIdOf } from "../../../src/mesh/identity.ts";
import { formatLink, newSecret } from "../../../src/mesh/invitation.ts";
import type { LanMesh } from "../../../src/node/lan.ts";

interface Mesh {
  readonly heard: LanMesh;
  readonly link: string;
}

/** A mesh that calls itself `name`, and an invitation to it. */
async function meshCalled(name: string, nodes: readonly string[]): Promise<Mesh> {
  const [authority, key] = [await generateNodeKey(), await generateNodeKey()];
  const meshId = publicKeyToProtobuf(privateKeyFromProtobuf(authority).publicKey);
  const id = Buffer.from(meshId).toString("base64url");
  const link = formatLink({
    ...{ meshId, secret: newSecret(), expiresAtMs: 1e12, peer: peerIdOf(key) },
    addresses: ["/ip4/10.0.0.1/tcp/9002"],
  });
  const heard = nodes.map((node, at) => ({
    ...{ meshName: name, meshId: id, node, peer: `p${at}`, port: 9002, remotePort: 0, tls: false },
    host: at === 0 ? "10.0.0.1" : "fe80::2",
  }));
  return { heard: { name, id, nodes: heard }, link };
}

let home: Mesh;
let impostor: Mesh;
beforeAll(async () => {
  home = await meshCalled("home", ["desk", "attic"]);
  impostor = await meshCalled("home", ["evil\x1b[2J"]);
});

/** Somebody who answers in turn; what was asked and said. */
function somebody(answers: readonly string[]) {
  const left = [...answers];
  const lines: string[] = [];
  const ask = async (question: string) => {
    lines.push(question);
    const answer = left.shift();
    if (answer === undefined) throw new Error(`nobody answers ${question}`);
    return answer;
  };
  return { ask, say: (line: string) => void lines.push(line), lines };
}

async function answering(meshes: readonly Mesh[], answers: readonly string[]) {
  const { lines, ...terminal } = somebody(answers);
  const heard = meshes.map((mesh) => mesh.heard);
  const chosen = chooseInvitation(heard, terminal).then(
    ({ link }) => link ?? "a knock",
    (error: Error) => error.message,
  );
  return { link: await chosen, lines };
}

test("one mesh is asked for by name, and the pasted line may have the command around it", async () => {
  const { link, lines } = await answering([home], ["y", `  builder join '${home.link}'  `]);
  expect(link).toBe(home.link);
  expect(lines).toEqual([
    'Join "home"? [y/n] ',
    "Run `builder mesh invite` on desk or attic and paste its line here, or press Enter to knock: ",
  ]);
});

test("Enter knocks, at the mesh that was chosen", async () => {
  expect((await answering([home], ["y", " "])).link).toBe("a knock");
  const { lines: _, ...terminal } = somebody(["2", ""]);
  const chosen = await chooseInvitation([impostor.heard, home.heard], terminal);
  expect(chosen).toEqual({ mesh: home.heard, link: undefined });
});

test("a knock tells its code, and counts only where the owner saw it, too", async () => {
  const knock = async (onCode: (code: string, node: string) => void) => {
    onCode("012345", "evil\x1b[2J");
    return { link: home.link, node: "evil\x1b[2J" };
  };
  const yes = somebody(["what?", "y"]);
  expect(await knockAtTerminal(home.heard, knock, yes)).toBe(home.link);
  expect(yes.lines.join("\n")).toMatch(/run on evil.*of "home": {2}builder mesh admit 012 345\n/);
  expect(yes.lines.join("\n")).toMatch(/lets this machine in.*\[y\/n\]/);
  expect(yes.lines.join("\n")).not.toContain("\x1b");
  const no = knockAtTerminal(home.heard, knock, somebody(["n"]));
  await expect(no).rejects.toMatchObject({
    code: "CANCELLED",
    message: expect.stringContaining("pretend to be that mesh"),
  });
});

test("several are asked for by number, and what is no answer is asked again", async () => {
  const { link, lines } = await answering([impostor, home], ["", "3", "2", home.link]);
  expect(link).toBe(home.link);
  expect(lines.filter((line) => line === "Type a number from 1 to 2.")).toHaveLength(2);
  expect((await answering([impostor, home], ["0", "x", "-1"])).link).toMatch(/number from 1 to 2/);
});

test("an invitation to another mesh of the same name is refused, and so is what is none", async () => {
  const { link, lines } = await answering([home], ["yes", impostor.link, "hello", home.link]);
  expect(link).toBe(home.link);
  expect(lines.join("\n")).toMatch(/another mesh than the "home"[\s\S]*That is no invitation/);
  const wrong = await answering([home], ["y", impostor.link, impostor.link, impostor.link]);
  expect(wrong.link).toMatch(/another mesh/);
});

test("whoever says no joins nothing, and where no mesh is heard the way is named", async () => {
  expect((await answering([home], ["n"])).link).toBe("No mesh was joined.");
  expect((await answering([], [])).link).toMatch(/No mesh was heard.*builder join 'builder:/);
  expect(noTerminal([]).code).toBe("NOT_FOUND");
  expect(noTerminal([home.heard]).message).toMatch(/at a terminal only.*builder join 'builder:/);
});

test("meshes are listed by number with where their nodes are, and can do no harm", () => {
  const text = renderMeshes([home.heard, impostor.heard]);
  expect(text).toMatch(/^1 +home +2 +desk 10\.0\.0\.1:9002, attic \[fe80::2\]:9002$/m);
  expect(text).toMatch(/^2 +home +1 +evil/m);
  expect(text).not.toContain("\x1b");
});
