#!/bin/bash
# Vary all recordings of a folder on a Slurm cluster: every task of the array makes its share.
#
#     sbatch --array=1-16 folder.sh songs/ made/ --amount 0.3
#
# The folders are on a disk that all nodes share. A job that was stopped is sent again: takes that exist are left out.

#SBATCH --job-name=vamp
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=08:00:00
#SBATCH --requeue

set -euo pipefail

: "${SLURM_ARRAY_TASK_ID:?start this with sbatch --array=1-16}"
songs=${1:?the folder of the recordings is missing}
made=${2:?the folder of the results is missing}
shift 2

export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
exec vamp vamp "$songs" -o "$made/" --recursive --skip-existing \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" "$@"
