-- When Argo CD calls a SpinApp healthy. Its own rule waits for the condition Progressing to go, which
-- a healthy Deployment keeps for ever. health.yaml has examples, `k8s/check` compares.
local health = {status = "Progressing", message = "Waiting for spin-operator"}
local status = obj.status or {}
local wanted = obj.spec.replicas or 1
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Progressing" and condition.status == "False" then
    return {status = "Degraded", message = condition.message}
  end
  if condition.type == "Available" then
    health.message = condition.message
    if condition.status == "True" and (status.readyReplicas or 0) >= wanted then
      health.status = "Healthy"
    end
  end
end
return health
