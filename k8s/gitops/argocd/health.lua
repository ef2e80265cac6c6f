-- Health of a SpinApp for Argo CD. The built-in rule waits until the condition Progressing is not
-- True, but a healthy Deployment keeps it True. `k8s/check` tests this rule on the examples in
-- health.yaml.
local health = {status = "Progressing", message = "Waiting for spin-operator"}
local status = obj.status or {}
local replicas = obj.spec.replicas or 1
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Progressing" and condition.status == "False" then
    return {status = "Degraded", message = condition.message}
  end
  if condition.type == "Available" then
    health.message = condition.message
    if condition.status == "True" and (status.readyReplicas or 0) >= replicas then
      health.status = "Healthy"
    end
  end
end
return health
