"""What importing the data package costs."""

import subprocess
import sys


def test_the_data_package_does_not_import_transformers():
    code = (
        "import sys, rmx.data, rmx.data.rendering, rmx.data.splits; "
        "assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
