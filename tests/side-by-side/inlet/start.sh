# Starts the control plane and one agent, applies the rendered configuration, and stays until it is told to end.
# The benchmark waits for LISTEN_HTTP, counts the CPU time of this whole process tree, and ends it with SIGTERM.
# What goes wrong is said on stderr, which the benchmark shows; nothing that was started here outlives this script.
fail() {
    echo "inlet: $1" >&2
    exit 1
}

"$INLET_BIN/inlet-control-plane" --listen "${INLET_SERVER#http://}" --data-dir "$RUN_DIR/control-plane" --insecure &
control_plane=$!
"$INLET_BIN/inlet-agent" --control-plane "$INLET_SERVER" --name bench --data-dir "$RUN_DIR/agent" \
    --admin 127.0.0.1:8191 --workers "$WORKERS" --drain-timeout 1s &
agent=$!
trap 'kill "$control_plane" "$agent" 2>/dev/null; wait' EXIT
trap 'exit 0' TERM INT

# Ready is when it answers; a refused manifest, below, is never tried again.
attempts=100
until "$INLET_BIN/lbctl" --server "$INLET_SERVER" get load-balancers >/dev/null 2>&1; do
    attempts=$((attempts - 1))
    [ "$attempts" -gt 0 ] || fail "the control plane does not answer"
    sleep 0.1
done
"$INLET_BIN/lbctl" --server "$INLET_SERVER" apply -f "$RUN_DIR/inlet.yaml" >"$RUN_DIR/apply.log" ||
    fail "the configuration was refused"
wait "$agent"
