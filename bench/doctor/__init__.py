"""How often is the run doctor right? `python -m bench.doctor`: labelled runs, and a table of its verdicts."""
