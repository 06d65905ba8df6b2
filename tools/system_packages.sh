#!/bin/sh
# Debian packages that the system tests use: a broker, an RTSP server, an emulated machine with a USB camera, systemd's
# checker, a browser. Installs what is missing as root; otherwise says which tests will be skipped. Never fails: the
# tests say why they skip.
missing=
need() { # need COMMAND-OR-FILE PACKAGE...
  probe=$1; shift
  case $probe in
    /*) [ -e "$probe" ] && return ;;
    *) PATH=$PATH:/usr/sbin:/sbin command -v "$probe" >/dev/null && return ;;
  esac
  missing="$missing $*"
}
need mosquitto mosquitto
need mosquitto_sub mosquitto-clients
need openssl openssl
need ffmpeg ffmpeg
need systemd-analyze systemd
need /usr/lib/python3/dist-packages/gi python3-gi
need "$(ls /usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib 2>/dev/null || echo /missing)" \
  gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
  gstreamer1.0-plugins-bad gstreamer1.0-rtsp
need qemu-system-x86_64 qemu-system-x86
need faketime faketime
need busybox busybox-static
need cpio cpio
need depmod kmod
need v4l2-ctl v4l-utils
need chromium chromium
need chromedriver chromium-driver
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing:$missing"
  # shellcheck disable=SC2086
  if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
  then exit 0; fi
fi
echo "missing Debian packages, so system tests that need them will be skipped:$missing"
exit 0
