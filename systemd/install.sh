#!/bin/sh
# Installs or updates spillwatch as a systemd service; what exists in /etc/spillwatch is kept.
#
#   systemd/install.sh              as root
#   systemd/install.sh --dry-run    print what would be done
#   DESTDIR=/root/of/a/package systemd/install.sh
#                                   only put the files below DESTDIR: no user, no Python packages, no systemctl
set -eu
umask 022

source=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
destdir=${DESTDIR:-}
program=/opt/spillwatch
command=/usr/local/bin/spillwatch
share=/usr/local/share
settings=$destdir/etc/spillwatch
units=$destdir/etc/systemd/system

case ${1:-} in
    '') dry_run=no ;;
    --dry-run) dry_run=yes ;;
    *) echo "usage: $0 [--dry-run]" >&2; exit 2 ;;
esac

run() {
    echo "+ $*"
    [ "$dry_run" = yes ] || "$@"
}

if [ -z "$destdir" ] && [ "$dry_run" = no ] && [ "$(id -u)" -ne 0 ]; then
    echo "$0: run it as root: sudo $0" >&2
    exit 1
fi

# The account, and the group that USB cameras belong to
if [ -z "$destdir" ]; then
    getent group video >/dev/null || run groupadd --system video
    getent passwd spillwatch >/dev/null || run useradd --system --user-group --home-dir /var/lib/spillwatch \
        --no-create-home --shell /usr/sbin/nologin spillwatch
fi

# Completion for one shell, printed by the program itself
complete() {
    echo "+ _SPILLWATCH_COMPLETE=$1_source $program/bin/spillwatch > $share/$2"
    [ "$dry_run" = yes ] && return
    install -d "$(dirname "$share/$2")"
    _SPILLWATCH_COMPLETE=$1_source "$program/bin/spillwatch" >"$share/$2"
}

# The program, its man pages, and completion
if [ -z "$destdir" ]; then
    run python3 -m venv "$program"
    run "$program/bin/pip" install --quiet -c "$source/constraints.txt" "$source[man]"
    run ln -sfn "$program/bin/spillwatch" "$command"
    run install -d "$share/man/man1"
    run "$program/bin/click-man" --target "$share/man/man1" spillwatch
    complete bash bash-completion/completions/spillwatch
    complete zsh zsh/site-functions/_spillwatch
    complete fish fish/vendor_completions.d/spillwatch.fish
fi

# Settings: a password may stand in a camera's url, so only root and the daemon read them
run install -d -m 0755 "$settings"
run install -d -m 0700 "$settings/credentials"
if [ ! -e "$settings/config.toml" ]; then
    run install -m 0640 "$source/config.example.toml" "$settings/config.toml"
    [ -n "$destdir" ] || run chgrp spillwatch "$settings/config.toml"
fi

# The unit
run install -d -m 0755 "$units"
run install -m 0644 "$source/systemd/spillwatch.service" "$units/spillwatch.service"
if [ -z "$destdir" ]; then
    if [ -d /run/systemd/system ]; then
        run systemctl daemon-reload
        run systemctl try-restart spillwatch.service
    else
        echo "systemd does not run here; the unit is in place for when it does"
    fi
fi

cat <<END
spillwatch is installed. Next:
  1. edit /etc/spillwatch/config.toml; passwords go into files in /etc/spillwatch/credentials
  2. spillwatch locate URL --out /etc/spillwatch/cam1.toml --preview cam1.png
  3. spillwatch check --config /etc/spillwatch/config.toml
  4. systemctl enable --now spillwatch
END
