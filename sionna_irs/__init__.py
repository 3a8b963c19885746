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
        "surface.surface": "Surface",
        "surface.ideal": "IdealPhases",
        "surface.adjustable": "AdjustableAmplitude",
        "surface.discrete": "DiscretePhases",
        "surface.coupled": "CoupledAmplitude",
        "surface.varactor": "Varactor",
        "surface.pattern": "CosinePattern IsotropicPattern",
        "channel.links": "Links apply stack_users",
        "channel.correlation": "exponential_correlation exponential_factors "
        "plane_wave_correlation plane_wave_factors",
        "channel.moments": "HopMoments",
        "channel.double_scattering": "DoubleScatteringHop",
        "channel.double": "DoubleGeometry DoubleSurfaceChannel",
        "channel.double_statistics": "DoubleSurfaceStatistics",
        "channel.hop_model": "HopModel",
        "channel.double_cir": "DoubleSurfaceCIR",
        "channel.clustered": "ClusteredChannel",
        "channel.rician": "RayleighHop RicianHop los_matrix",
        "channel.surface_channel": "SurfaceChannel SurfaceObservation",
        "channel.cascaded": "CascadeStatistics CascadedChannel",
        "channel.paths": "CIR",
        "channel.pruning": "prune_paths",
        "channel.delays": "check_cyclic_prefix delay_energy delay_range",
        "channel.hops": "CIRHop",
        "channel.table": "CIRTable",
        "channel.cir": "SurfaceCIR",
        "channel.room": "RoomChannel room_positions room_split",
        "channel.room_images": "RoomPaths image_paths",
        "channel.room_traced": "traced_paths",
        "channel.scene_cascade": "SceneCascade position_blocks",
        "channel.raytraced": "RayTracedHops SceneDevice",
        "channel.raytracing.child": "RayTracingError",
        "channel.raytracing.solve": "SceneOutline TracedPaths scene_outline solve_paths",
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
        "estimation.chain_pilots": "ChainPilots",
        "estimation.rls": "RLSEstimator",
        "estimation.unfolded_rls": "UnfoldedRLS",
        "estimation.equivalent_lmmse": "EquivalentLMMSEEstimator",
        "estimation.feedback": "PathFeedback TransformFeedback vector_covariance",
        "estimation.learned": "LearnedEstimator",
        "estimation.ofdm": "OFDMLMMSEEstimator delay_covariance exponential_delay_covariance "
        "ofdm_lmmse_nmse ofdm_ls_nmse",
        "beamforming.precoders": "MRTPrecoder Precoder RZFPrecoder ZFPrecoder",
        "beamforming.receivers": "LMMSEReceiver MRCReceiver Receiver ZFReceiver",
        "beamforming.policies": "AlignedPhases CoordinateAscent RandomPhases",
        "beamforming.rate_coordinate": "RateCoordinateAscent",
        "beamforming.statistical": "dominant_phases",
        "beamforming.surface_factors": "end_to_end surface_factors",
        "beamforming.unit_modulus": "ADMM ElementWise PowerIteration UnitModulusSolver",
        "beamforming.riemannian_ascent": "RiemannianAscent",
        "beamforming.sum_path_gain": "AlternatingDesign SumPathGain",
        "beamforming.capacity_ascent": "CapacityAscent",
        "beamforming.dominant": "DominantMode",
        "beamforming.calibrated": "Calibrated",
        "beamforming.implicit_csi": "ImplicitCSIPrecoder",
        "beamforming.structured": "StructuredPrecoder",
        "beamforming.unfolded_wmmse": "UnfoldedWMMSE",
        "beamforming.black_box": "CNNPrecoder GramCNNPrecoder PilotCNNPrecoder",
        "beamforming.front_end": "HybridFrontEnd steered_phases",
        "beamforming.sca": "SCA",
        "beamforming.streams": "mmse_combiner stack_streams",
        "beamforming.hybrid_zf": "HybridZF",
        "beamforming.block_diagonalization": "BlockDiagonalization reduce_channel",
        "beamforming.unfolded_sca": "UnfoldedSCA",
        "beamforming.black_box_hybrid": "BlackBoxHybrid",
        "beamforming.hybrid_system": "HybridSystem",
        "beamforming.analog_ssca": "AnalogSSCA",
        "beamforming.statistical_phases": "StatisticalPhases",
        "beamforming.svd_transceiver": "capacity svd_water_filling",
        "beamforming.two_timescale": "TwoTimescaleSSCA",
        "beamforming.water_filling": "water_filling",
        "beamforming.wmmse": "WMMSE",
        "beamforming.zeroth_order": "FirstOrder SurfaceTuner ZerothOrder",
        "beamforming.wideband": "RateAscent StrongestTap delay_taps",
        "transceiver.symbol_networks": "SymbolNetwork symbol_loss",
        "transceiver.autoencoder": "SurfaceAutoencoder",
        "transceiver.ml_detection": "ml_decisions",
        "transceiver.leak_guard": "LeakReport leak_guard",
        "transceiver.model_based": "svd_symbol_error_rate",
        "qam": "QAM",
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
