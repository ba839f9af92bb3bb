#!/bin/bash
# The suites of the sandbox, and a build by a node with two workers, on cgroup v2: in a virtual
# machine (on-cgroup2.sh), as root and in the places where ordinary users' programs are. Says what a
# machine lacks for it. Without KVM half an hour.
set -u
cd "$(dirname "$0")/.." || exit 2
suites=test/integration
# Generous, as the machine may be simulated: a test that hangs is told by its action's own limits.
node=node_modules/.bin/node
vitest=("$node" node_modules/vitest/vitest.mjs run --config test/vitest.config.ts --configLoader runner
  --project integration --testTimeout 3000000 --hookTimeout 3000000)
failed=()
try() {
  echo "== $*"
  tools/on-cgroup2.sh --as "$@"
  local code=$?
  [ $code != 3 ] || exit 3 # no machine to be had; it said why
  [ $code = 0 ] || failed+=("$*")
}
try root "${vitest[@]}" $suites/sandbox-{delegation,linux,escapes,death}.test.ts
try root "${vitest[@]}" $suites/{hostile-actions,ordinary-user}.test.ts
for who in service user session; do
  try $who "${vitest[@]}" $suites/sandbox-{linux,escapes,death}.test.ts $suites/hostile-actions.test.ts
done
for who in root service; do try $who "$node" tools/demo.ts; done
[ ${#failed[@]} = 0 ] && echo "All passed on cgroup v2." && exit
printf 'failed: %s\n' "${failed[@]}"
exit 1
