#!/usr/bin/env bash
# Runs a command on a Slurm of one node, which is set up for it and ended with it.
#
#   tests/slurm/node.sh [--yes] COMMAND...
#
# Needs root, and Debian's or Ubuntu's packages (slurm-wlm, munge). Where the kernel allows it, all
# of it lives in a namespace of its own and the machine stays as it was: the packages are unpacked
# beside /usr, not installed. Elsewhere they are installed on the machine, after a question that
# --yes answers. The node pretends to have two GPUs. Ends with status 77 where Slurm does not start.
set -euo pipefail

die() {
    echo "node.sh: $*" >&2
    exit 1
}
cannot() {
    echo "node.sh: $*" >&2
    exit 77
}

PATH=$PATH:/usr/sbin:/sbin # where installed daemons are, whoever calls
packages=(slurm-wlm munge)
if [[ ${1:-} != --inside ]]; then
    yes=${1:-}
    [[ $yes != --yes ]] || shift
    [[ $# -gt 0 ]] || die 'which command?'
    [[ $EUID == 0 ]] || cannot 'Slurm of one node is set up as root: run as root, or with sudo'
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/usr"
    if ! type slurmctld slurmd munged >/dev/null 2>&1; then
        command -v apt-get >/dev/null || cannot "install ${packages[*]}: there is no apt-get here"
        apt-get update --quiet >"$work/apt" 2>&1 || true
        mkdir -p "$work/debs/partial"
        apt-get install --quiet --yes --no-install-recommends --download-only \
            -o "Dir::Cache::archives=$work/debs" "${packages[@]}" >>"$work/apt" 2>&1 \
            || { cat "$work/apt" >&2; cannot "cannot download ${packages[*]}"; }
        for deb in "$work"/debs/*.deb; do
            dpkg-deb --extract "$deb" "$work"
        done
        [[ ! -d $work/lib ]] || cp -a "$work/lib/." "$work/usr/lib/"
        for daemon in slurmctld slurmd slurmstepd; do # links that an installation would make
            [[ ! -e $work/usr/sbin/$daemon-wlm ]] || ln -sf "$daemon-wlm" "$work/usr/sbin/$daemon"
        done
    fi
    if unshare --mount --pid --fork mount -t overlay -o "lowerdir=$work/usr:/usr" none /usr 2>/dev/null
    then
        status=0
        unshare --mount --pid --fork --mount-proc --kill-child \
            "$0" --inside "$work" "$@" || status=$?
        exit $status
    fi
    [[ ! -e /etc/slurm/slurm.conf ]] || cannot '/etc/slurm/slurm.conf exists: this machine has a Slurm'
    if [[ $yes != --yes ]]; then
        [[ -t 0 ]] || cannot 'this machine allows no namespaces; with --yes, Slurm is installed on it'
        read -r -p "This machine allows no namespaces. Install ${packages[*]} and run Slurm on it? [y/N] "
        [[ $REPLY == [yY]* ]] || cannot 'nothing was changed'
    fi
    type slurmctld slurmd munged >/dev/null 2>&1 \
        || apt-get install --quiet --yes --no-install-recommends "${packages[@]}" >/dev/null
    status=0
    "$0" --inside machine "$@" || status=$?
    exit $status
fi

where=$2 # the folder of this namespace, or "machine"
shift 2
if [[ $where == machine ]]; then
    state=$(mktemp -d)
else
    state=$where/state
    mkdir "$where/own" "$state"
    mount -t overlay -o "lowerdir=$where/usr:/usr" none /usr
    mount -t tmpfs none "$where/own" # for what is written to /etc
    mkdir "$where/own/upper" "$where/own/work"
    mount -t overlay -o "lowerdir=/etc,upperdir=$where/own/upper,workdir=$where/own/work" none /etc
    mount -t tmpfs -o mode=755 none /run
fi
ended() { # of the namespace the kernel ends the processes
    [[ $where == machine ]] || return 0
    for daemon in slurmd slurmctld munged; do
        [[ ! -e $state/$daemon.pid ]] || kill "$(cat "$state/$daemon.pid")" || true
    done
    rm -f /etc/slurm/slurm.conf /etc/slurm/gres.conf
    sleep 2
    rm -rf "$state"
}
trap ended EXIT

mkdir -p /etc/slurm /run/munge
node=$(hostname -s)
port=$((20000 + RANDOM % 10000)) # beside another Slurm
touch "$state/gpu0" "$state/gpu1"
cat >/etc/slurm/gres.conf <<END
Name=gpu File=$state/gpu[0-1]
END
cat >/etc/slurm/slurm.conf <<END
ClusterName=test
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/spool
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
PropagatePrioProcess=0
MpiDefault=none
ReturnToService=2
KillWait=30
GresTypes=gpu
NodeName=$node NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=$node Default=YES MaxTime=INFINITE State=UP
END
mkdir -p "$state/ctld" "$state/spool"
head -c 1024 /dev/urandom >"$state/key"
chmod 400 "$state/key"
# as root, since a machine without the package has no user for it
munged --force --key-file="$state/key" --pid-file="$state/munged.pid" \
    --log-file="$state/munged.log" --seed-file="$state/seed" 2>/dev/null
slurmctld
slurmd
for _ in {1..60}; do
    [[ $(sinfo --noheader --format=%T 2>/dev/null) == idle ]] && break
    sleep 1
done
[[ $(sinfo --noheader --format=%T) == idle ]] || {
    tail "$state"/*.log >&2
    cannot 'Slurm did not start'
}
CHARLENS_SLURM_NODE=$node "$@"
