#!/bin/sh
# A file tree of Debian's next release with clients that Debian 12 does not have, and the compiler
# whose paths they send: Bazel 7 (Debian 12 has Bazel 4, which knows no compression) and buildbox
# (recc, trexe). For test/e2e, which enters it by bubblewrap. As root; two minutes, 1.4 GB.
set -eu
tree=/var/cache/builder-tests/clients
[ -e "$tree/usr/bin/recc" ] && exit 0
apt-get update -qq
apt-get install -y -qq --no-install-recommends mmdebstrap bubblewrap
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | head -1)
mkdir -p "${tree%/*}"
rm -rf "$tree.new"
# A mirror may be a snapshot whose dates have passed.
mmdebstrap --quiet --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' \
  --include=bazel-bootstrap,buildbox sid "$tree.new" "$mirror"
mv "$tree.new" "$tree"
