# debian_base CONTEXT PACKAGES: puts Debian with these packages (a list with commas) into the build context, and says
# how its Dockerfile begins: with debootstrap (and root) from Debian's packages alone, else on the public image.
debian_base() {
    if command -v debootstrap >/dev/null && [ "$(id -u)" = 0 ]; then
        root=$(mktemp -d)
        trap 'rm -rf "$root"' EXIT
        debootstrap --variant=minbase --include="$2" bookworm "$root" \
            "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >&2
        tar -C "$root" --exclude=./var/cache/apt --exclude=./var/lib/apt/lists --exclude=./var/lib/postgresql \
            --exclude=./usr/share/doc --exclude=./usr/share/locale --exclude=./usr/share/man --exclude=./dev \
            -cf "$1/base.tar" .
        echo 'FROM scratch'
        echo 'ADD base.tar /'
    else
        echo 'FROM debian:bookworm-slim'
        echo "RUN apt-get update && apt-get install -y --no-install-recommends $(echo "$2" | tr , ' ') \\"
        echo '    && rm -rf /var/lib/apt/lists/*'
    fi
}
