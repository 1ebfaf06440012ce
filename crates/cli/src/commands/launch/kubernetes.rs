//! The Indexed Job for Kubernetes.

use anyhow::Result;
use serde_json::{Value, json};

use crate::args::launch::KubernetesArgs;
use crate::args::profile::ProfileArgs;
use crate::exit::Failure;

/// Where the volume of the artifacts is in a pod.
const ARTIFACTS: &str = "/artifacts";
/// User and group of the process: nobody in particular, and not root.
const USER: u32 = 65532;

/// The manifest: one pod for each rank, on different nodes where possible, which write to one volume.
///
/// # Errors
/// An artifact directory of the user's own: it would not be on the volume.
pub fn manifest(args: &KubernetesArgs, profile: &ProfileArgs) -> Result<String> {
    if profile.output.output_artifact_dir.is_some() {
        return Err(Failure::usage(format!("--artifact-dir: in a pod the artifacts go to {ARTIFACTS}"))
            .fix("leave it out, and name the volume with --claim")
            .into());
    }
    let job = &args.job;
    let labels = json!({"app.kubernetes.io/name": "tokmeter", "app.kubernetes.io/instance": job.name});
    let mut manifest = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "labels": labels},
        "spec": {
            "completionMode": "Indexed",
            "completions": job.ranks,
            "parallelism": job.ranks,
            // A load that is repeated in part is another load.
            "backoffLimit": 0,
            "template": {"metadata": {"labels": labels}, "spec": pod(args, &labels)},
        },
    });
    if let Some(namespace) = &args.namespace {
        manifest["metadata"]["namespace"] = json!(namespace);
    }
    let ranks = job.ranks;
    Ok(format!(
        "# Made by `tokmeter launch kubernetes`: one load from {ranks} pods. When they have ended, `tokmeter merge` of the\n\
         # volume's directory {}/ joins their artifacts.\n{}",
        job.name,
        yaml_serde::to_string(&manifest)?
    ))
}

fn pod(args: &KubernetesArgs, labels: &Value) -> Value {
    let job = &args.job;
    let mut words = vec!["profile".to_owned()];
    words.extend(job.flags.iter().cloned());
    words.extend(["--shard", "auto", "--artifact-dir"].map(str::to_owned));
    words.push(format!("{ARTIFACTS}/{}", job.name));
    let mut environment = vec![json!({"name": "TOKMETER_COMPLETIONS", "value": job.ranks.to_string()})];
    if let Some(secret) = &args.api_key_secret {
        let from = json!({"secretKeyRef": {"name": secret, "key": "api-key"}});
        environment.push(json!({"name": "TOKMETER_API_KEY", "valueFrom": from}));
    }
    let room = json!({"cpu": args.cpus.to_string(), "memory": args.memory});
    json!({
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [{
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels},
        }],
        "containers": [{
            "name": "tokmeter",
            "image": args.image,
            "args": words,
            "env": environment,
            "workingDir": ARTIFACTS,
            // Whole cores and as much as asked for: no quota that would hold the client back.
            "resources": {"requests": room, "limits": room},
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [{"name": "artifacts", "mountPath": ARTIFACTS}],
        }],
        "volumes": [{"name": "artifacts", "persistentVolumeClaim": {"claimName": args.claim}}],
    })
}
