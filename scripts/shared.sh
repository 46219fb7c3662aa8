# Sourced by the other scripts.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Tools that scripts/setup installs with cargo land here.
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

# ONE set of packages and features for everything that links Tauri: clippy, tests, application, command line.
# Cargo unifies features over the packages named in one call, so `-p` here and `--workspace` there would build
# tokio, serde, rustls and all that hangs on them twice. `custom-protocol` puts the built UI into the
# binary; it stays on in tests too, or switching it would rebuild tauri, its plugins and the root package.
whole=(--workspace --features twindeck/custom-protocol)
# The quick loop builds no Tauri at all, so it has a feature set, and artifacts, of its own.
quick=(--workspace --exclude twindeck)

target_dir=${CARGO_TARGET_DIR:-$root/target}

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }
