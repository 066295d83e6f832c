// How a spec of a kind may begin.
export const TEMPLATES: Record<string, unknown> = {
  VirtualService: { hosts: ["my-service"], http: [{ route: [{ destination: { host: "my-service" } }] }] },
  DestinationRule: { host: "my-service", subsets: [{ name: "v1", labels: { version: "v1" } }] },
  Gateway: { selector: { istio: "ingressgateway" }, servers: [{ port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["*"] }] },
  ServiceEntry: { hosts: ["api.example.com"], location: "MESH_EXTERNAL", ports: [{ number: 443, name: "tls", protocol: "TLS" }], resolution: "DNS" },
  Sidecar: { egress: [{ hosts: ["./*", "istio-system/*"] }] },
  WorkloadEntry: { address: "10.0.0.1", labels: { app: "my-app" } },
  WorkloadGroup: { metadata: { labels: { app: "my-app" } }, template: { serviceAccount: "default" } },
  PeerAuthentication: { mtls: { mode: "STRICT" } },
  AuthorizationPolicy: { action: "ALLOW", rules: [{ from: [{ source: { principals: ["cluster.local/ns/default/sa/my-client"] } }] }] },
  RequestAuthentication: { jwtRules: [{ issuer: "https://issuer.example.com", jwksUri: "https://issuer.example.com/jwks.json" }] },
  Telemetry: { accessLogging: [{ providers: [{ name: "envoy" }] }] },
  HTTPRoute: { parentRefs: [{ name: "my-gateway" }], rules: [{ backendRefs: [{ name: "my-service", port: 80 }] }] },
};
