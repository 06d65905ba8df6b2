#!/bin/sh
# Removes the service and the program; keeps settings, recordings and the account, and says so.
set -eu

if [ "$(id -u)" -ne 0 ]; then
    echo "$0: run it as root: sudo $0" >&2
    exit 1
fi
if [ -d /run/systemd/system ]; then
    systemctl disable --now spillwatch.service || true # it may not be installed
fi
rm -f /etc/systemd/system/spillwatch.service
rm -rf /opt/spillwatch
rm -f /usr/local/share/man/man1/spillwatch.1 /usr/local/share/man/man1/spillwatch-*.1 \
    /usr/local/share/bash-completion/completions/spillwatch /usr/local/share/zsh/site-functions/_spillwatch \
    /usr/local/share/fish/vendor_completions.d/spillwatch.fish
if [ -L /usr/local/bin/spillwatch ]; then rm -f /usr/local/bin/spillwatch; fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
echo "spillwatch is removed; /etc/spillwatch, /var/lib/spillwatch and the user spillwatch are kept"
