"""Replays one run of the simulation, and prints its anomalies.

Usage: python -m rehearsals.simulation SEED
"""

import sys

from rehearsals.simulation import simulation

for anomaly in (anomalies := simulation.run(int(sys.argv[1]))):
    print(anomaly)
sys.exit(bool(anomalies))
