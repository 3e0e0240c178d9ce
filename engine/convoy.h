// The public API in one include: data sets, models, backends, training, checkpoints.
#pragma once

#include "engine/backend/registry.h"
#include "engine/core/error.h"
#include "engine/data/catalog.h"
#include "engine/io/checkpoint.h"
#include "engine/model/builtin.h"
#include "engine/model/fold.h"
#include "engine/model/model_file.h"
#include "engine/model/state.h"
#include "engine/train/inference.h"
#include "engine/train/network.h"
#include "engine/train/profile.h"
#include "engine/train/trainer.h"
