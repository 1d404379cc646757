"""`python -m protogen`: the command of this interpreter, whatever stands on PATH."""

from protogen.cli import main

main()
