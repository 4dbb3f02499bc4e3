"""Replays one run of the simulation: python -m rehearsals.simulation SEED."""

import sys

from rehearsals.simulation import simulation

for anomaly in (found := simulation.run(int(sys.argv[1]))):
    print(anomaly)
sys.exit(bool(found))
