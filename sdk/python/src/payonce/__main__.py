"""`python -m payonce` runs the program."""

from payonce._binary import main

if __name__ == "__main__":
    main()
