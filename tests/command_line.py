"""The command line in the process of the tests."""

from backprop.__main__ import main


def run(capsys, *arguments):
    """The exit code, stdout and stderr of a command, run in this process."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        code = leaving.code
    return code, *capsys.readouterr()
