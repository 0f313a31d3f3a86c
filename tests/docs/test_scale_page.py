"""The job files in docs/scale.md are what shells and schedulers take."""

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml

TEXT = (Path(__file__).parents[2] / "docs" / "scale.md").read_text("utf-8")
SHARDS = 100


def block(kind):
    (found,) = re.findall(rf"```\w+ {kind}\n(.*?)```", TEXT, re.DOTALL)
    return found


def parsed(kind):
    return yaml.safe_load(block(kind))


FAKE = """
srun() { "$@"; }
xrayseg() { echo "xrayseg $*"; return "$STATUS"; }
sbatch() { echo "sbatch $*" >&2; echo 17; }
"""


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (1, 0), (2, 2), (130, 130)])
def test_a_slurm_task_does_its_shard_and_passes_failures_on(status, expected):
    environment = {
        "SLURM_ARRAY_TASK_ID": "7",
        "SLURM_ARRAY_TASK_COUNT": str(SHARDS),
        "STATUS": str(status),
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        ["bash", "-c", FAKE + block("slurm")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expected, done.stderr
    assert (
        done.stdout
        == f"xrayseg batch /data/radiographs --out /data/masks --quiet --shard 7/{SHARDS}\n"
    )


def test_the_slurm_script_submits_itself_and_the_merge():
    subprocess.run(["bash", "-n"], input=block("slurm"), text=True, check=True)
    done = subprocess.run(
        ["bash", "-c", FAKE + block("slurm"), "job.sh"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stderr.splitlines()
    assert first == "sbatch --parsable job.sh"
    assert second == "sbatch --dependency=afterany:17 --wrap xrayseg merge /data/masks"


def test_slurm_tasks_train_as_hosts_that_meet_on_the_first_node():
    subprocess.run(["bash", "-n"], input=block("slurm-train"), text=True, check=True)
    fakes = """
    scontrol() { printf 'node7\\nnode8\\n'; }
    srun() { shift; for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; done; }
    xrayseg() { echo "xrayseg $*"; }
    export -f xrayseg
    """
    done = subprocess.run(
        ["bash", "-c", fakes + block("slurm-train")],
        env={"SLURM_JOB_NODELIST": "node[7-8]", "SLURM_NTASKS": "2", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first.endswith("--devices 8 --coordinator node7:9876 --host 1/2")
    assert second == first.replace("--host 1/2", "--host 2/2")


def test_the_kubernetes_job_is_indexed_and_does_all_shards():
    job = parsed("kubernetes")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == SHARDS >= spec["parallelism"] > 0
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] in ("Never", "OnFailure")  # what a Job may have
    assert pod["restartPolicy"] == "Never"  # as backoffLimitPerIndex asks
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }
    (script,) = container["args"]
    for index in (0, SHARDS - 1):
        done = subprocess.run(
            [*container["command"], FAKE + script],
            env={"JOB_COMPLETION_INDEX": str(index), "STATUS": "1", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"--shard {index + 1}/{SHARDS}\n" in done.stdout


def test_the_ray_cluster_fits_rays_own_schema():
    schema = json.loads(
        (Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text("utf-8")
    )
    cluster = parsed("ray")
    jsonschema.validate(cluster, schema)
    assert cluster["head_node_type"] in cluster["available_node_types"]
    with pytest.raises(jsonschema.ValidationError, match="max_workers"):
        jsonschema.validate({**cluster, "max_workers": "many"}, schema)
