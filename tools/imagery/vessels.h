/* SPDX-License-Identifier: BSD-2-Clause */
/* Drawing what the made pictures have in common: trees of blood vessels, soft spots, uneven light.
 * Lengths are in pixels, angles in radians. */
#ifndef IMAGERY_VESSELS_H
#define IMAGERY_VESSELS_H

#include "chance.h"
#include "image.h"

struct vessel {
    double x;
    double y;
    double angle;
    double radius;
    double length;
    double bend;  /* radians a pixel */
    double pull;  /* how strongly it turns to the centre, a pixel */
    bool crosses; /* does not end where it runs into another; its branches do */
};

/* What all vessels of a tree share. */
struct vessel_tree {
    struct image *cover; /* one channel: the part of each pixel that lies in a vessel */
    double center_x;     /* of the fovea, which branches strive for and keep clear of */
    double center_y;
    double clear_radius;
    double wobble;          /* deviation of the angle, a root of a pixel */
    double branch_distance; /* between two branches of a vessel */
    double branch_pull;     /* pull of the branches */
    double branch_part;     /* length of a branch, a part of that of its vessel */
    double thinnest;        /* radius below which no branch starts */
};

/* Draws a vessel and its branches down to `depth` generations. */
void vessel_grow(const struct vessel_tree *tree, struct vessel vessel, int depth,
                 struct chance *chance);

/* Smooth numbers by chance of mean 0 and deviation about 1, whose bumps are `cell` pixels wide. */
bool field_create(struct image *result, int64_t width, int64_t height, double cell,
                  struct chance *chance, struct image_error *error);

double distance_of(double x0, double y0, double x1, double y1);

/* 1 in the middle, falling to 0 at `radius`, smoothly. */
double soft_spot(double distance, double radius);

#endif
