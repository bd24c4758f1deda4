#!/bin/sh
# Stands for any program that trains: finds the minimum of a parabola step by step, with noise.
set -eu
echo "seed $SWEEP_SEED on $SWEEP_DEVICE, learning rate $SWEEP_PARAMS_LR"
awk -v seed="$SWEEP_SEED" -v lr="$SWEEP_PARAMS_LR" -v steps="$SWEEP_PARAMS_STEPS" '
BEGIN {
    srand(seed)
    x = 1 + rand()
    for (step = 1; step <= steps; step++) {
        x -= lr * (2 * x + 0.1 * (rand() - 0.5))
        printf "{\"epoch\": %d, \"loss\": %f}\n", step, x * x
    }
    print 1 / (1 + x * x)        # the last line is the score: from 0 to 1, larger is better
}'
