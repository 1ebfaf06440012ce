#!/usr/bin/env bash
# slurm.sh: a real Slurm (slurm-wlm and munge from Debian) of one node on loopback, all of it in a scratch folder: `srun -n 4`
# gives each task its rank, the ranks begin together, and `merge` equals the single run and the simulator's log; the script
# that `launch slurm` prints goes through sbatch. Needs root, as slurmd does.
source "$(dirname "$0")/tally.sh"
source "$here/simulator.sh"
python=$("$here/venv.sh" readers)
for program in munged slurmctld slurmd srun sbatch; do
  command -v "$program" >/dev/null || { fail "slurm: $program is not installed (slurm-wlm, munge)"; exit 1; }
done
PATH="$(cd "$(dirname "$TOKMETER")" && pwd):$PATH"
host=$(hostname -s)
control=$(free_port) node=$(free_port)
mkdir "$scratch/state" "$scratch/spool"
export SLURM_CONF="$scratch/slurm.conf"

head -c 64 /dev/urandom >"$scratch/munge.key"
chmod 600 "$scratch/munge.key"
start munged --foreground --force --key-file "$scratch/munge.key" --socket "$scratch/munge.socket" \
  --pid-file "$scratch/munge.pid" --log-file "$scratch/munge.log" --seed-file "$scratch/munge.seed" >"$scratch/munge.out" 2>&1
cat >"$SLURM_CONF" <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$control
SlurmdPort=$node
AuthType=auth/munge
AuthInfo=socket=$scratch/munge.socket
CredType=cred/munge
SlurmUser=root
StateSaveLocation=$scratch/state
SlurmdSpoolDir=$scratch/spool
SlurmctldPidFile=$scratch/slurmctld.pid
SlurmdPidFile=$scratch/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SlurmdParameters=config_overrides
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=16 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
wait_for 10 test -S "$scratch/munge.socket"
start slurmctld -D -f "$SLURM_CONF" >"$scratch/slurmctld.log" 2>&1
start slurmd -D -f "$SLURM_CONF" -N "$host" >"$scratch/slurmd.log" 2>&1
node_is_idle() { [ "$(sinfo --noheader --format %T)" = idle ]; }
check "slurm: one node is up" wait_for 30 node_is_idle || {
  tail -n 5 "$scratch/slurmctld.log" "$scratch/slurmd.log" "$scratch/munge.log" | sed 's/^/# /'
  exit 1
}

load=(--model sim-model --streaming --ui none --request-rate 80 --request-count 240 --isl 32 --osl 6 --random-seed 11
  --export-http-trace)
port=$(free_port)
start_simulator "$port" "$scratch/shared.sim.jsonl" --ttft-ms 10 --itl-ms 2
check "slurm: srun starts four ranks that end well" srun --ntasks=4 --cpus-per-task=2 tokmeter profile "${load[@]}" \
  --url "127.0.0.1:$port" --shard auto --start-at "$(($(date +%s) + 5))" --artifact-dir "$scratch/shared"
stop_simulator
check "slurm: merge takes their artifacts" tokmeter merge "$scratch/shared"

port=$(free_port)
start_simulator "$port" "$scratch/single.sim.jsonl" --ttft-ms 10 --itl-ms 2
check "slurm: the same load from one process" tokmeter profile "${load[@]}" --url "127.0.0.1:$port" --artifact-dir "$scratch/single"
stop_simulator

figure() { jq -r "$1" "$scratch/$2/profile_export_aiperf.json"; }
for what in .request_count.avg .total_isl.avg .total_osl.avg; do
  same "slurm: $what of the merged run equals that of the single one" "$(figure $what shared)" "$(figure $what single)"
done
same "slurm: the simulator served as many" "$(wc -l <"$scratch/shared.sim.jsonl")" "$(wc -l <"$scratch/single.sim.jsonl")"
also "$python" "$here/check_truth.py" "$scratch/shared.sim.jsonl" "$scratch/shared"
same "slurm: ranks and where they come from" "$(figure '[.tokmeter.merged.parts[] | "\(.rank)/\(.ranks) \(.source)"] | join(", ")' shared)" \
  "0/4 slurm, 1/4 slurm, 2/4 slurm, 3/4 slurm"
same "slurm: one job step" "$(figure '[.tokmeter.merged.parts[].job] | unique | length' shared)" 1
# Instants from the start of each rank's schedule, sorted: the union is the schedule of one process.
intended() {
  "$python" - "$@" <<'PYTHON'
import json, pathlib, sys
instants = []
for name in sys.argv[1:]:
    run = pathlib.Path(name)
    start = json.loads((run / "profile_export_aiperf.json").read_text())["tokmeter"]["window"]["start_ns"]
    for line in (run / "profile_export.jsonl").open():
        instants.append(json.loads(line)["metadata"]["credit_issued_ns"] - start)
instants.sort()
print(len(instants), hash(tuple(instants)))
PYTHON
}
same "slurm: the union of intended instants is the single schedule" "$(intended "$scratch"/shared/rank-*)" "$(intended "$scratch/single")"

port=$(free_port)
start_simulator "$port" "$scratch/batch.sim.jsonl" --ttft-ms 10 --itl-ms 2
tokmeter launch slurm --ranks 4 --cpus 1 --start-in 5 --dry-run -- --url "127.0.0.1:$port" "${load[@]}" \
  --artifact-dir "$scratch/batch" >"$scratch/job.sbatch"
check "slurm: sbatch runs what launch prints" sbatch --wait --output "$scratch/batch.log" "$scratch/job.sbatch"
stop_simulator
same "slurm: its merged result has all requests" "$(figure .request_count.avg batch)" 240
same "slurm: and all ranks" "$(figure '.tokmeter.merged.parts | length' batch)" 4
