"""Studies: what the models reach, over several seeds. `minigan study bench/studies/NAME.toml` runs one."""
