from rehdr_ros.network.rehdr import Rehdr
def prepare(ldr, voxel, state, clipped_from, seconds):
    return Rehdr.prepare(_self, ldr, voxel, state, clipped_from, seconds)
class _self: pass
