"""One line per check, as every script of this folder prints them: `PASS name: detail` or `FAIL name: detail`."""
import math
import sys
import traceback
from pathlib import Path


class Tally:
    """Counts the checks of one script and prints each as it is decided."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, name, ok, detail=""):
        """Print the verdict of one check; returns it."""
        if ok:
            self.passed += 1
        else:
            self.failed += 1
        text = f": {detail}" if detail else ""
        print(f"{'PASS' if ok else 'FAIL'} {name}{text}", flush=True)
        return ok

    def faults(self, name, faults, detail, shown=6):
        """A check that holds when the list of faults is empty; shows the first of them when it is not."""
        if not faults:
            return self.check(name, True, detail)
        more = f" (and {len(faults) - shown} more)" if len(faults) > shown else ""
        return self.check(name, False, "; ".join(str(f) for f in faults[:shown]) + more)

    def close(self):
        """End the script: exit code 0 only when something was checked and nothing failed."""
        sys.exit(0 if self.passed and not self.failed else 1)


def relative_difference(a, b, floor=1e-9):
    """|a - b| over the larger magnitude; magnitudes below `floor` count as zero; not a number never equals."""
    if math.isnan(a) or math.isnan(b):
        return math.inf
    size = max(abs(a), abs(b))
    return 0.0 if size < floor else abs(a - b) / size


def run(main):
    """Run the script; what it did not expect is a failure in one line like any other."""
    try:
        main()
    except Exception as error:  # a check that stumbles must not look like one that was not made
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())[:300]
        print(f"FAIL {Path(sys.argv[0]).name}: {type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno})")
        sys.exit(1)
