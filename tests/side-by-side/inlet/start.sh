# Starts the control plane and one agent, applies the rendered configuration, and stays until it is told to end.
# The benchmark waits for LISTEN_HTTP, counts the CPU time of this whole process tree, and ends it with SIGTERM.
"$INLET_BIN/inlet-control-plane" --listen "${INLET_SERVER#http://}" --data-dir "$RUN_DIR/control-plane" --insecure &
"$INLET_BIN/inlet-agent" --control-plane "$INLET_SERVER" --name bench --data-dir "$RUN_DIR/agent" \
    --admin 127.0.0.1:8191 --workers "$WORKERS" --drain-timeout 1s &
until "$INLET_BIN/lbctl" --server "$INLET_SERVER" apply -f "$RUN_DIR/inlet.yaml" >"$RUN_DIR/apply.log" 2>&1; do
    kill -0 $! || exit 1
    sleep 0.1
done
trap 'kill $(jobs -p)' TERM
wait
