#!/bin/sh
# Adds the standard library for wasm32-wasip2 to the toolchain in use, built from Debian's source of
# exactly this compiler: for machines that reach a Debian mirror and crates, but not the server that
# `rustup target add` downloads from. Takes some 20 seconds and changes nothing outside of the
# toolchain.
set -eu

release=$(rustc --version | cut -d ' ' -f 2)
sysroot=$(rustc --print sysroot)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# The packages, from the mirror that this machine uses, with apt's lists kept to ourselves.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/$' | head -n 1)
echo "deb [signed-by=$keyring] ${mirror:?apt has no Debian mirror} trixie-backports main" > sources.list
mkdir state cache
chmod 755 .
apt() {
  command=$1
  shift
  "$command" -q -o Dir::State="$work/state" -o Dir::Cache="$work/cache" \
    -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o APT::Sandbox::User="$(id -un)" "$@"
}
apt apt-get update > /dev/null
source_version=$(apt apt-cache madison rust-src | cut -d '|' -f 2 | grep -m 1 -F " $release+" | tr -d ' ')
apt apt-get download "rust-src=$source_version" wasi-libc
for package in ./*.deb; do
  dpkg -x "$package" root
done

# Where cargo looks for the sources of std, and rustc for the C library.
std=$sysroot/lib/rustlib/src/rust
target=$sysroot/lib/rustlib/wasm32-wasip2/lib
mkdir -p "$std" "$target/self-contained"
cp -R "root/usr/src/rustc-$release/library" "$std/"
cp root/usr/lib/wasm32-wasip2/*.a root/usr/lib/wasm32-wasip2/crt1-command.o \
  root/usr/lib/wasm32-wasip2/crt1-reactor.o "$target/self-contained/"

# An empty crate, for the sake of the std that is built under it. The bitcode is for LTO.
cargo init --quiet --lib --name empty empty
cd empty
RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR="$work/target" \
  cargo build --quiet -Zbuild-std=std,panic_abort --target wasm32-wasip2 --release
rm -f "$work"/target/wasm32-wasip2/release/deps/libempty-*
cp "$work"/target/wasm32-wasip2/release/deps/*.rlib "$target/"
