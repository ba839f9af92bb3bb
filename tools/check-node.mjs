// Says in one sentence why a script cannot run on an old Node. Plain JavaScript, so that every Node
// can read it; inside npm scripts the project's own Node comes first once `npm ci` has run.

const wanted = 26;
const major = Number(process.versions.node.split(".")[0]);
if (major < wanted) {
  process.stderr.write(
    `[ERROR] This is Node ${process.versions.node}; the project runs on its own Node ${wanted}. ` +
      "Run `npm ci` first, then use `npm run …` or cli/bin/builder and cli/bin/bldr.\n",
  );
  process.exit(1);
}
