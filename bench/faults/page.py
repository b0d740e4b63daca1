"""results.md: a table for each kind of fault."""

TITLES = {
    "kill": "Processes killed at random moments and resumed",
    "disk": "A disk that is full at random moments",
    "corrupt": "Files of a run damaged at random",
    "fuzz": "Damaged input to what reads files",
    "memory": "The memory of a long run",
}
FACTS = "command", "date", "minigan", "machine", "bad"


def page(found: dict) -> str:
    parts = ["# Faults\n\nMade by `python -m bench.faults`; see [its docstring](__init__.py).\n"]
    for kind, title in TITLES.items():
        if kind in found:
            rows = list(found[kind].values())
            columns = [name for name in rows[0] if name not in FACTS]
            table = [f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |"]
            table += [f"| {' | '.join(str(row.get(name, '')) for name in columns)} |" for row in rows]
            made = dict.fromkeys(f"`{r['command']}`, {r['date']}, {described(r['machine'])}" for r in rows)
            parts.append("\n".join([f"## {title}\n", *table, "", *(f"- {line}" for line in made), ""]))
    return "\n".join(parts)


def described(machine: dict) -> str:
    return f"{machine['cpu']}, {machine['processors']} processors, {machine['system']}"
