//! The gRPC services of package `inlet.v1`, with reflection and the standard health service beside them.

mod configuration;
mod discovery;
mod fit;
mod fleet;
mod list;
mod raw;
mod targets;
mod watch;

use std::sync::Arc;

use inlet_proto::details::MAX_MESSAGE_BYTES;
use inlet_proto::v1::configuration_server::ConfigurationServer;
use inlet_proto::v1::fleet_server::FleetServer;
use inlet_proto::v1::targets_server::TargetsServer;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::api::Shared;
use crate::api::auth::Gate;

/// The names that the health service knows, beside the empty one for the whole.
const SERVICES: [&str; 4] = [
    "inlet.v1.Configuration",
    "inlet.v1.Targets",
    "inlet.v1.Fleet",
    "inlet.v1.AgentDiscovery",
];

/// All services, and the handle that says whether they serve.
pub(crate) async fn services(
    shared: &Arc<Shared>,
    gate: Gate,
) -> Result<(Routes, HealthReporter), tonic_reflection::server::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    for name in SERVICES {
        reporter
            .set_service_status(name, ServingStatus::Serving)
            .await;
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(inlet_proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };

    let configuration = ConfigurationServer::new(configuration::Configuration(Arc::clone(shared)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let targets = TargetsServer::new(targets::Targets(Arc::clone(shared)));
    let fleet = FleetServer::new(fleet::FleetService(Arc::clone(shared)));
    let discovery = raw::DiscoveryServer::new(discovery::Discovery(Arc::clone(shared)));

    let mut routes = Routes::builder();
    routes
        .add_service(InterceptedService::new(configuration, gate.clone()))
        .add_service(InterceptedService::new(targets, gate.clone()))
        .add_service(InterceptedService::new(fleet, gate.clone()))
        .add_service(InterceptedService::new(discovery, gate))
        .add_service(health)
        .add_service(reflection().build_v1()?)
        // What older tools ask, and those in Python.
        .add_service(reflection().build_v1alpha()?);
    Ok((routes.routes(), reporter))
}

/// Tells health checks that nothing is served any more.
pub(crate) async fn stop_serving(reporter: &HealthReporter) {
    for name in SERVICES.into_iter().chain([""]) {
        reporter
            .set_service_status(name, ServingStatus::NotServing)
            .await;
    }
}
