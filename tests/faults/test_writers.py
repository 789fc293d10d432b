"""Two writers: one trainer to a run. A trainer that outlives its Snakemake: test_workflow.py; the lock itself:
tests/system/test_lock.py.
"""

import signal

from commands import train, trained
from helpers import warm


def test_of_two_that_start_together_one_trains(tiny_data, tmp_path, figure):
    arguments, whole, both = train("control", tiny_data, data={"train_images": 150}, batch_size=20), None, 0
    for trial in range(20):
        folder = tmp_path / f"run{trial}"
        words = arguments(folder)
        pair = [warm.Command(words, tmp_path / f"from{k}-{trial}", halted=True) for k in range(2)]
        for command in pair:
            warm.until_halted(command)
        for command in pair:
            command.kill(signal.SIGCONT)
        codes = sorted(command.wait() for command in pair)
        assert codes[0] == 0
        assert codes[1] in (0, 73)  # 0: it came after the other was done, and had nothing left to do
        both += codes == [0, 0]
        found = trained(folder)
        whole = whole or found
        assert found == whole
    figure("pairs started together", f"20/20 with one trainer at a time ({both} one after the other)")
