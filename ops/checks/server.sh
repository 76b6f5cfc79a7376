# For scripts that need a running server: sourced, not executed. start_server
# runs bin/tenantry dev on free ports with a data folder of its own, which goes
# when the script ends.

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d /tmp/tenantry-check.XXXXXX)
chmod 711 "$work" # root's Postgres runs as another user
server=

stop_server() {
  if [ -n "$server" ]; then
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
  fi
}
trap 'stop_server; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# start_server FLAGS… sets public_url, operator_url and operator_key.
start_server() {
  bin/tenantry dev --data-dir "$work/data" --listen 127.0.0.1:0 --operator-listen 127.0.0.1:0 "$@" \
    >"$work/stdout" 2>"$work/stderr" &
  server=$!
  for _ in $(seq 600); do
    if grep -q '"message":"serving"' "$work/stderr"; then
      public_url=$(sed -n 's/.*"message":"serving".*"public":"\([^"]*\)".*/\1/p' "$work/stderr")
      operator_url=$(sed -n 's/.*"message":"serving".*"operator":"\([^"]*\)".*/\1/p' "$work/stderr")
      operator_key=$(cat "$work/data/operator.key")
      return
    fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.2
  done
  echo "the server did not start:" >&2
  tail -n 20 "$work/stderr" >&2
  exit 1
}
