# Run as root on a machine of its own, with $unit, $place and $option set: prints facts, one a line.
ip link set lo up
cd /run || exit
PATH=/opt/blaze-relay/bin:$PATH
etc=/etc/blaze-relay$place messages=40

wait_for() {
  tries=0
  until eval "$1"; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || { echo "never:$1"; exit 1; }
    sleep 0.1
  done
}

show() {
  systemctl show --property="$1" --value "$unit"
}

control() {
  sh /opt/relayctl $option "$@"
}

read_so_far() {
  control messages list --finished --limit 1000 --json | grep -o '"outcome": *"read"' | wc -l
}

relay simulator --write-keystore "$etc/keystore.json" --rate 50 --messages $messages >/dev/null 2>&1 &
relay receiver --write-secret "$etc/webhook-secret" >/dev/null 2>&1 &
wait_for '[ -s $etc/keystore.json ] && [ -s $etc/webhook-secret ]'
chmod 600 "$etc"/*

control check --connect >/dev/null
echo "check:$?"
systemctl start "$unit"
echo "start:$?"
wait_for '[ "$(read_so_far)" = $messages ]'
echo "read:$(read_so_far)"

process=/proc/$(show MainPID)
grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' "$process/status" | tr -d '\t' | cut -c1-40
echo "user:$(stat -c %u "$process")"
grep -qE '^([^ ]+ ){4}/ ro' "$process/mountinfo" && echo "system:ro"
echo "secrets in sight:$(tr '\0' '\n' <"$process/environ" | grep -c -e whsec_ -e private_key)"
echo "journal:$(stat -c %a "/var/lib/private/blaze-relay$place/journal.db")"
control endpoints pause crm >/dev/null
echo "pause:$?"
systemctl stop "$unit"
echo "stop:$? $(show Result) $(show ExecMainStatus)"
echo "while stopped:$(control endpoints list --json | grep -c '"paused"')"

mkdir -p "/run/systemd/system/$unit.d"
printf '[Service]\nWatchdogSec=2\nRestartSec=100ms\n' >"/run/systemd/system/$unit.d/hurry.conf"
systemctl daemon-reload
systemctl start "$unit"
kill -STOP "$(show MainPID)"
wait_for '[ "$(show NRestarts)" -gt 0 ] && systemctl is-active --quiet $unit'
echo "watchdog:revived"
systemctl stop "$unit"

echo 'nonsense: 1' >>"$etc/relay.yaml"
systemctl start "$unit"
echo "wrong settings:$? $(show ActiveState) $(show ExecMainStatus) $(show NRestarts)"
