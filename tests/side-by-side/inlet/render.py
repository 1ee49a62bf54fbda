"""Writes inlet.yaml (everything) and change.yaml (the first route alone) for one run of the benchmark."""
import os

env = os.environ
run_dir = env["RUN_DIR"]
routes = [line.split() for line in open(env["ROUTES"])]


def split(address):
    """(host, port) of one of the benchmark's addresses."""
    host, port = env[address].rsplit(":", 1)
    return host, port


def target_group(name, protocol, address):
    """A group of one target, checked once at the start: an expert would not probe during a measurement."""
    host, port = split(address)
    matcher = ', matcher: "200-499"' if protocol == "HTTP" else ""
    return f"""kind: TargetGroup
name: {name}
protocol: {protocol}
port: {port}
healthCheck: {{protocol: {protocol}, interval: 300s{matcher}}}
targets: [{{address: {host}}}]
"""


def load_balancer(name, kind, address):
    return f"kind: LoadBalancer\nname: {name}\ntype: {kind}\naddresses: [{split(address)[0]}]\n"


def listener(name, balancer, protocol, address, group):
    return f"""kind: Listener
name: {name}
loadBalancer: {balancer}
protocol: {protocol}
port: {split(address)[1]}
defaultActions: [{{forward: {{targetGroups: [{{name: {group}}}]}}}}]
"""


def rule(number, host, prefix, group):
    return f"""kind: Rule
name: r{number}
listener: bench/http
priority: {number + 1}
conditions: [{{hostHeader: {{values: ["{host}"]}}}}, {{pathPattern: {{values: ["{prefix}*"]}}}}]
actions: [{{forward: {{targetGroups: [{{name: {group}}}]}}}}]
"""


catch_all = len(routes) == 1 and routes[0][0] == "*"
rules = [] if catch_all else [rule(number, *route) for number, route in enumerate(routes)]
documents = [
    load_balancer("bench", "APPLICATION", "LISTEN_HTTP"),
    load_balancer("wire", "NETWORK", "LISTEN_TCP"),
    target_group("a", "HTTP", "BACKEND_A"),
    target_group("b", "HTTP", "BACKEND_B"),
    target_group("echo", "TCP", "BACKEND_ECHO"),
    target_group("bulk", "TCP", "BACKEND_BULK"),
    listener("tcp", "wire", "TCP", "LISTEN_TCP", "echo"),
    listener("bulk", "wire", "TCP", "LISTEN_BULK", "bulk"),
    listener("http", "bench", "HTTP", "LISTEN_HTTP", "a"),
    *rules,
]
with open(f"{run_dir}/inlet.yaml", "w") as out:
    out.write("---\n".join(documents))
with open(f"{run_dir}/change.yaml", "w") as out:
    out.write(rules[0] if rules else documents[0])
