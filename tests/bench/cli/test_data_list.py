"""`bench data list` says of every set what its licence is and where it comes from."""

from bench.data.known import datasets


def test_every_set_with_its_licence(bench_command):
    done = bench_command("data", "list")
    assert done.returncode == 0, done.stderr
    lines = {line.split(":")[0]: line for line in done.stdout.splitlines() if not line.startswith(" ")}
    known = {entry.name: datasets().load(entry.name) for entry in datasets()}
    for name, entry in known.items():
        assert entry.licence in lines[name]
        assert ("from packages" in lines[name]) == entry.embedded
