// Enters the meshes of many new folders, each at a given time, as a process of its own beside
// others that do the same. Arguments: FOLDER ROUNDS FIRST_MS APART_MS. Prints a line for each mesh.

import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { peerIdOf } from "../../src/mesh/identity.ts";
import { enterMesh } from "../../src/node/enter-mesh.ts";
import { base64 } from "../../src/node/state-files.ts";

const [folder = "", rounds, firstMs, apartMs] = process.argv.slice(2);
const name = `process ${process.pid}`;

for (let round = 0; round < Number(rounds); round += 1) {
  await setTimeout(Math.max(0, Number(firstMs) + round * Number(apartMs) - Date.now()));
  const place = join(folder, String(round), "mesh");
  const { self, credential } = await enterMesh(place, { name, meshName: "home", now: Date.now });
  const key = peerIdOf(credential.key);
  console.log(JSON.stringify({ peer: self.peerId, key, mesh: base64(credential.meshId) }));
}
// Stays, so that nobody takes its claims for those of a dead process.
process.stdin.resume();
