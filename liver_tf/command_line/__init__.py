"""From a configuration dataclass to a command.

``flags_of_options`` generates flags and parses them; ``flag_files`` reads files of flags;
``run_command`` runs a command and turns errors into exit statuses; ``commands`` lists them;
``console`` is the console script ``liver-tf``; ``flag_tables`` writes ``docs/commands.md``. No
other module of the library uses absl.
"""
