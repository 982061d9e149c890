"""``python -m stablenew_kernel.cli``: the ``stablenew`` command where its script is not on the PATH."""

import sys

from stablenew_kernel.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
