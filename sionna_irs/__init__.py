"""Reconfigurable surfaces (IRS, also called RIS) for Sionna links.

Importing the package imports no TensorFlow: a public name is loaded when it is first used.
"""

import importlib
import sys

__version__ = "0.1.0"

# Public name -> module.
_EXPORTS = {
    name: module
    for module, names in {
        "layer": "Input LinkLayer",
        "deploy": "frozen",
        "ebno_range": "EbnoRange uniform_ebno",
        "link": "Link",
        "saving": "load_model",
        "arrays": "DualPolarized ULA UPA sionna_order",
        "budget": "LinkBudget db_to_linear dbm_to_watt ebno_db_to_no free_space_path_gain "
        "linear_to_db log_distance_path_gain snr_db_to_no watt_to_dbm",
        "surface.design": "Controls Design",
        "surface.surface": "Surface",
        "surface.ideal": "IdealPhases",
        "surface.adjustable": "AdjustableAmplitude",
        "surface.discrete": "DiscretePhases",
        "surface.coupled": "CoupledAmplitude",
        "surface.varactor": "Varactor",
        "surface.group_connected": "GroupConnected",
        "surface.operators": "BlockOperator",
        "surface.pattern": "CosinePattern IsotropicPattern",
        "channel.links": "Links apply stack_users",
        "channel.hops.correlation": "exponential_correlation exponential_factors "
        "plane_wave_correlation plane_wave_factors",
        "channel.hops.moments": "HopMoments",
        "channel.hops.double_scattering": "DoubleScatteringHop",
        "channel.double": "DoubleGeometry DoubleSurfaceChannel",
        "channel.double_statistics": "DoubleSurfaceStatistics",
        "channel.impulse.hop_model": "HopModel",
        "channel.impulse.double_cir": "DoubleSurfaceCIR",
        "channel.hops.clustered": "ClusteredChannel",
        "channel.hops.rician": "RayleighHop RicianHop los_matrix",
        "channel.surface_channel": "SurfaceChannel SurfaceObservation",
        "channel.cascaded": "CascadeStatistics CascadedChannel",
        "channel.impulse.paths": "CIR",
        "channel.impulse.pruning": "prune_paths",
        "channel.impulse.delays": "check_cyclic_prefix delay_energy delay_range",
        "channel.impulse.cir_hop": "CIRHop",
        "channel.impulse.cir_table": "CIRTable",
        "channel.impulse.surface_cir": "SurfaceCIR",
        "channel.scene.room": "RoomChannel room_positions room_split",
        "channel.scene.room_images": "RoomPaths image_paths",
        "channel.scene.room_traced": "traced_paths",
        "channel.scene.scene_cascade": "SceneCascade position_blocks",
        "channel.scene.raytraced": "RayTracedHops SceneDevice",
        "channel.scene.raytracing.child": "RayTracingError",
        "channel.scene.raytracing.solve": "SceneOutline TracedPaths scene_outline solve_paths",
        "networks.batch_norm": "BatchNorm",
        "networks.convolution": "Convolution",
        "networks.context": "AntennaContext",
        "networks.cdrn": "CDRN",
        "networks.row_network": "RowNet",
        "networks.feedback_autoencoder": "FeedbackAutoencoder",
        "networks.user_graph": "UserGraph",
        "search.genotype": "Genotype",
        "search.network": "CellNetwork",
        "search.hypergradient": "hypergradient",
        "search.derive": "derive_genotype random_genotype",
        "search.search": "ArchitectureSearch",
        "estimation.pilots": "SurfacePilots",
        "estimation.ls": "LSEstimator PilotEstimator ls_nmse",
        "estimation.lmmse": "LMMSEEstimator SampleLMMSEEstimator ScalarLMMSEEstimator lmmse_nmse "
        "scalar_lmmse_nmse",
        "estimation.bayes": "BayesEstimator",
        "estimation.bayes_bound": "bayes_nmse",
        "estimation.rank_one": "RankOneEstimator",
        "estimation.denoiser": "Denoiser",
        "estimation.user_pilots": "UserLMMSEEstimator UserLSEstimator UserPilots "
        "UserScaledLSEstimator",
        "estimation.path_refit": "FingerprintMapping",
        "hybrid.chain_pilots": "ChainPilots",
        "hybrid.rls": "RLSEstimator",
        "hybrid.unfolded_rls": "UnfoldedRLS",
        "hybrid.equivalent_lmmse": "EquivalentLMMSEEstimator",
        "hybrid.feedback": "PathFeedback TransformFeedback vector_covariance",
        "estimation.learned": "LearnedEstimator",
        "estimation.ofdm": "OFDMLMMSEEstimator delay_covariance exponential_delay_covariance "
        "ofdm_lmmse_nmse ofdm_ls_nmse",
        "precoding.linear": "MRTPrecoder Precoder RZFPrecoder ZFPrecoder",
        "precoding.receivers": "LMMSEReceiver MRCReceiver Receiver ZFReceiver",
        "phases.aligned_response": "AlignedResponse",
        "phases.policies": "AlignedPhases CoordinateAscent RandomPhases",
        "phases.rate_coordinate": "RateCoordinateAscent",
        "phases.dominant_phases": "dominant_phases",
        "phases.surface_factors": "end_to_end surface_factors",
        "phases.unit_modulus": "ADMM ElementWise PowerIteration UnitModulusSolver",
        "phases.riemannian_ascent": "RiemannianAscent",
        "phases.sum_path_gain": "AlternatingDesign SumPathGain",
        "phases.capacity_ascent": "CapacityAscent",
        "phases.dominant_mode": "DominantMode",
        "precoding.calibrated": "Calibrated",
        "precoding.implicit_csi": "ImplicitCSIPrecoder",
        "precoding.structured": "StructuredPrecoder",
        "precoding.unfolded_wmmse": "UnfoldedWMMSE",
        "precoding.black_box": "CNNPrecoder GramCNNPrecoder PilotCNNPrecoder",
        "hybrid.front_end": "HybridFrontEnd steered_phases",
        "hybrid.sca": "SCA",
        "hybrid.streams": "mmse_combiner stack_streams",
        "hybrid.zf": "HybridZF",
        "hybrid.block_diagonalization": "BlockDiagonalization reduce_channel",
        "hybrid.unfolded_sca": "UnfoldedSCA",
        "hybrid.black_box": "BlackBoxHybrid",
        "hybrid.system": "HybridSystem",
        "hybrid.analog_ssca": "AnalogSSCA",
        "phases.statistical_phases": "StatisticalPhases",
        "precoding.svd_transceiver": "capacity svd_water_filling",
        "phases.two_timescale": "TwoTimescaleSSCA",
        "precoding.water_filling": "water_filling",
        "precoding.wmmse": "WMMSE",
        "phases.zeroth_order": "FirstOrder SurfaceTuner ZerothOrder",
        "phases.wideband": "RateAscent StrongestTap delay_taps",
        "transceiver.symbol_networks": "SymbolNetwork symbol_loss",
        "transceiver.autoencoder": "SurfaceAutoencoder",
        "transceiver.ml_detection": "ml_decisions",
        "transceiver.leak_guard": "LeakReport leak_guard",
        "transceiver.model_based": "svd_symbol_error_rate",
        "qam": "QAM",
        "fec.decoder": "LDPC5GDecoder",
        "fec.demapper": "Demapper",
    }.items()
    for name in names.split()
}
# Modules that are used by their own name.
_MODULES = ("linalg", "metrics", "random", "testing", "weights")

__all__ = [*sorted(_EXPORTS), *_MODULES]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _EXPORTS:
        value = getattr(importlib.import_module(f".{_EXPORTS[name]}", __name__), name)
        globals()[name] = value
        return value
    error = f"module 'sionna_irs' has no attribute {name!r}"
    raise AttributeError(error, name=name, obj=sys.modules[__name__])  # Python offers close names


def __dir__():
    return [*globals(), *__all__]
