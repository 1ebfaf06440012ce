"""dependencies.py: which crate may use which, held against `cargo metadata`.

cli -> engine, gateway, sim; engine -> http -> record; gateway -> http. Records know no runtime, no network and no engine; the simulator is the
judge of the others and so uses none of them, except in tests of its users.
"""
import json
import subprocess
import sys

# normal and build dependencies within the workspace
ALLOWED = {
    "tokmeter": {"tokmeter-engine", "tokmeter-gateway", "tokmeter-sim", "tokmeter-http", "tokmeter-record"},
    "tokmeter-engine": {"tokmeter-http", "tokmeter-record"},
    "tokmeter-gateway": {"tokmeter-http", "tokmeter-record"},
    "tokmeter-http": {"tokmeter-record"},
    "tokmeter-record": set(),
    "tokmeter-sim": set(),
}
# in tests the simulator may stand in for a server
ALLOWED_IN_TESTS = {name: {"tokmeter-sim"} for name in ALLOWED if name not in ("tokmeter-sim", "tokmeter-record")}
# what a crate must not reach, by whatever way
UNREACHABLE = {
    "tokmeter-record": {"tokio", "hyper", "hyper-util", "http", "rustls", "tower", "clap", "ratatui"},
    "tokmeter-http": {"clap", "ratatui", "indicatif"},
    "tokmeter-engine": {"clap", "ratatui", "indicatif"},
    "tokmeter-gateway": {"clap", "ratatui", "indicatif"},
    "tokmeter-sim": {"clap", "ratatui", "indicatif", "rustls"},
}


def reachable(graph, start):
    seen, todo = set(), [start]
    while todo:
        for name in graph[todo.pop()]:
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def main():
    metadata = json.loads(subprocess.run(["cargo", "metadata", "--format-version", "1", "--locked"], check=True,
                                         capture_output=True, text=True).stdout)
    members = set(metadata["workspace_members"])
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    faults = []
    for package in metadata["packages"]:
        if package["id"] not in members:
            continue
        name = package["name"]
        if name not in ALLOWED:
            faults.append(f"{name} is new: say in tests/dependencies.py what it may use")
            continue
        for dependency in package["dependencies"]:
            if not dependency["name"].startswith("tokmeter"):
                continue
            allowed = ALLOWED[name] | (ALLOWED_IN_TESTS.get(name, set()) if dependency["kind"] == "dev" else set())
            if dependency["name"] not in allowed:
                faults.append(f"{name} -> {dependency['name']} ({dependency['kind'] or 'normal'})")
    # the resolved graph without what only tests use
    graph = {node["id"]: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
             for node in metadata["resolve"]["nodes"]}
    for member in members:
        found = {names[i] for i in reachable(graph, member)} & UNREACHABLE.get(names[member], set())
        if found:
            faults.append(f"{names[member]} reaches {', '.join(sorted(found))}")
    for fault in faults:
        print(f"FAIL dependencies: {fault}")
    if not faults:
        print(f"PASS dependencies: {len(members)} crates, every edge points down")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
