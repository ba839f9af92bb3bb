// Which mesh of the local network a machine joins, and how, asked at the terminal. What is heard
// there is hearsay: it helps to choose, but an invitation lets in, and only one of the mesh that
// was chosen; whoever has none knocks.

import { failureOf, MeshError } from "../src/core/error.ts";
import { invitationTo, type LanMesh } from "../src/node/lan.ts";
import { printable } from "../src/telemetry/logger.ts";
import { tableLines } from "./text-table.ts";

/** Wrong answers to one question before it is given up. */
const answersMax = 3;

/** The meshes, numbered from 1; where there is none, why that may be. */
export function renderMeshes(meshes: readonly LanMesh[]): string {
  const heads = [{ head: "", right: true }, { head: "Mesh" }, { head: "Nodes", right: true }];
  const rows = meshes.map(({ name, nodes }, at) => {
    const where = nodes.map(({ node, host, port }) => `${node} ${addressOf(host, port)}`);
    return [`${at + 1}`, name, `${nodes.length}`, where.join(", ")];
  });
  const lines = tableLines([...heads, { head: "Where" }], rows, Number.POSITIVE_INFINITY);
  return meshes.length === 0 ? "" : `${lines.join("\n")}\n`;
}

/** What somebody at the terminal wants. */
export interface ChosenMesh {
  readonly mesh: LanMesh;
  /** The invitation that was pasted, to that mesh; undefined to knock. */
  readonly link: string | undefined;
}

/** Puts a question and resolves to the answer; says a line. */
export interface AtTerminal {
  readonly ask: (question: string) => Promise<string>;
  readonly say: (line: string) => void;
}

/**
 * Which of these meshes, and by which invitation. NOT_FOUND where there is none; CANCELLED where
 * nothing was chosen; INVALID_ARGUMENT after three wrong answers.
 */
export async function chooseInvitation(
  meshes: readonly LanMesh[],
  terminal: AtTerminal,
): Promise<ChosenMesh> {
  const mesh = await chooseMesh(meshes, terminal);
  const nodes = mesh.nodes.map(({ node }) => node).join(" or ");
  const where = `Run \`builder mesh invite\` on ${nodes} and paste its line here, or press Enter to knock: `;
  const link = await untilRight(terminal, printable(where), (line) =>
    line.trim() === "" ? undefined : invitationTo(mesh, line.trim()),
  );
  return { mesh, link };
}

/**
 * Knocks, tells the code, and takes the invitation that comes only where whoever sits here has seen
 * that the owner gave it: anybody in the network can call itself that mesh, and let machines in.
 * CANCELLED where they have not; else as `knock`.
 */
export async function knockAtTerminal(
  mesh: LanMesh,
  knock: (
    onCode: (code: string, node: string) => void,
  ) => Promise<{ readonly link: string; readonly node: string }>,
  terminal: AtTerminal,
): Promise<string> {
  const { link, node } = await knock((code, at) => {
    const command = `builder mesh admit ${code.slice(0, 3)} ${code.slice(3)}`;
    const where = `${at}, a node of "${mesh.name}"`;
    terminal.say(printable(`To let this machine in, run on ${where}:  ${command}`));
    terminal.say("Waiting for up to 10 minutes; Ctrl-C ends it.");
  });
  const question = `${node} lets this machine in. Did that command say so, too? [y/n] `;
  if (await untilRight(terminal, printable(question), yesOrNo)) return link;
  throw new MeshError(
    "CANCELLED",
    "No mesh was joined: what let this machine in is not the node where the code was typed. " +
      "Somebody in this network may pretend to be that mesh.",
  );
}

async function chooseMesh(meshes: readonly LanMesh[], terminal: AtTerminal): Promise<LanMesh> {
  const [first] = meshes;
  if (first === undefined) throw nothingHeard();
  if (meshes.length > 1) {
    return await untilRight(terminal, `Which one to join? [1-${meshes.length}] `, (answer) => {
      const chosen = /^\d+$/.test(answer.trim()) ? meshes[Number(answer) - 1] : undefined;
      if (chosen !== undefined) return chosen;
      throw new MeshError("INVALID_ARGUMENT", `Type a number from 1 to ${meshes.length}.`);
    });
  }
  const isWanted = await untilRight(terminal, printable(`Join "${first.name}"? [y/n] `), yesOrNo);
  if (!isWanted) throw new MeshError("CANCELLED", "No mesh was joined.");
  return first;
}

function yesOrNo(answer: string): boolean {
  if (/^(y|yes)$/i.test(answer.trim())) return true;
  if (/^(n|no)$/i.test(answer.trim())) return false;
  throw new MeshError("INVALID_ARGUMENT", "Type y or n.");
}

async function untilRight<T>(
  { ask, say }: AtTerminal,
  question: string,
  read: (answer: string) => T,
): Promise<T> {
  for (let asked = 1; ; asked += 1) {
    const answer = await ask(question);
    try {
      return read(answer);
    } catch (error) {
      if (asked === answersMax) throw error;
      say(printable(failureOf(error).message));
    }
  }
}

/** Why nobody is asked where no terminal is. */
export function noTerminal(meshes: readonly LanMesh[]): MeshError {
  if (meshes.length === 0) return nothingHeard();
  return new MeshError(
    "FAILED_PRECONDITION",
    "Which mesh to join is asked at a terminal only. `builder mesh invite` on a node of it " +
      "prints the line to run here: builder join 'builder://join/…'",
  );
}

function nothingHeard(): MeshError {
  return new MeshError(
    "NOT_FOUND",
    "No mesh was heard within 3 s. Its nodes tell of themselves once work stealing is on, and " +
      "not through every router. `builder mesh invite` on one of them prints a line that works " +
      "from anywhere: builder join 'builder://join/…'",
  );
}

function addressOf(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
