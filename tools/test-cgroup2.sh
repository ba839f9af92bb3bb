#!/bin/bash
# The suites of the sandbox, and a build by a node with two workers, on cgroup v2: in a virtual
# machine (on-cgroup2.sh), as root and in the places where ordinary users' programs are. Says what a
# machine lacks for it. Without KVM it takes an hour.
set -u
cd "$(dirname "$0")/.." || exit 2
node=node_modules/.bin/node
failed=()

# on WHO COMMAND …
on() {
  echo "== as $1: ${*: -1}"
  tools/on-cgroup2.sh --as "$@"
  local code=$?
  [ $code != 3 ] || exit 3 # no machine to be had; it said why
  [ $code = 0 ] || failed+=("as $1: ${*: -1}")
}

# suites WHO NAME …: generous, as the machine may be simulated; each action has its own wall time.
suites() {
  local who=$1 name
  shift
  for name in "$@"; do
    on "$who" $node node_modules/vitest/vitest.mjs run --config test/vitest.config.ts --configLoader runner \
      --project integration --maxWorkers 1 --testTimeout 3000000 --hookTimeout 3000000 \
      "test/integration/$name.test.ts"
  done
}

suites root sandbox-delegation sandbox-linux sandbox-escapes sandbox-death hostile-actions
for who in service user session; do
  suites $who sandbox-linux sandbox-escapes sandbox-death hostile-actions
done
on root $node tools/demo.ts
on service $node tools/demo.ts
if [ ${#failed[@]} = 0 ]; then
  echo "All passed on cgroup v2."
else
  printf 'failed %s\n' "${failed[@]}"
  exit 1
fi
