/* SPDX-License-Identifier: BSD-2-Clause */
#include "fundus.h"

#include "vessels.h"

#include <math.h>
#include <stdio.h>

static const double half_turn = 3.141592653589793;

/* Lengths in scene.scale pixels are those of a photograph of 64 x 64. */
struct scene {
    double scale;
    double center_x; /* of the field of view */
    double center_y;
    double radius;
    double disc_x;
    double disc_y;
    double disc_radius;
    double macula_x;
    double macula_y;
    double colour[3]; /* mean of each channel in the field of view */
    double noise;
};

/* Mean numbers for each grade. */
struct signs {
    double dots;
    double blots;
    double pale;
    double new_vessels;
};

static const struct signs signs_of_grade[FUNDUS_GRADES] = {
    {0.2, 0.0, 0.0, 0.0}, {4.5, 0.2, 0.1, 0.0}, {8, 2.5, 1.5, 0.0},
    {12, 6, 7, 0.0},      {13, 8, 4, 3.5},
};

static void choose_colour(double colour[3], struct chance *chance)
{
    const double light = chance_between(chance, 0.3, 0.72);
    const double red_to_gray = chance_unit(chance);
    colour[0] = light;
    colour[1] = light * (0.48 + 0.3 * red_to_gray + 0.05 * chance_normal(chance));
    colour[2] = light * (0.22 + 0.4 * red_to_gray + 0.08 * chance_normal(chance));
    for (int c = 0; c < 3; c++) {
        colour[c] = fmax(colour[c], 0.05);
    }
}

static struct scene choose_scene(int64_t width, int64_t height, struct chance *chance)
{
    struct scene scene;
    const double side = (double)(width < height ? width : height);
    const double disc_side = chance_happens(chance, 0.5) ? 1 : -1;
    scene.scale = side / 64;
    scene.center_x = (double)width / 2 + side * 0.012 * chance_normal(chance);
    scene.center_y = (double)height / 2 + side * 0.012 * chance_normal(chance);
    scene.radius = side * chance_between(chance, 0.44, 0.51);
    scene.disc_x = scene.center_x + disc_side * scene.radius * chance_between(chance, 0.1, 0.72);
    scene.disc_y = scene.center_y + scene.radius * 0.08 * chance_normal(chance);
    scene.disc_radius = scene.radius * chance_between(chance, 0.11, 0.16);
    scene.macula_x = scene.disc_x - disc_side * scene.radius * chance_between(chance, 0.5, 0.62);
    scene.macula_y = scene.disc_y + scene.radius * chance_between(chance, 0, 0.12);
    scene.noise = chance_between(chance, 0.01, 0.03);
    choose_colour(scene.colour, chance);
    return scene;
}

static int64_t poisson(struct chance *chance, double mean)
{
    const double floor_of_product = exp(-mean);
    int64_t count = -1;
    for (double product = 1; product > floor_of_product; count++) {
        product *= chance_unit(chance);
    }
    return count;
}

static void draw_vessels(struct image *cover, const struct scene *scene, struct chance *chance)
{
    const struct vessel_tree tree = {
        .cover = cover,
        .center_x = scene->macula_x,
        .center_y = scene->macula_y,
        .clear_radius = 0.2 * scene->radius,
        .wobble = 0.06 / sqrt(scene->scale),
        .branch_distance = scene->scale * chance_between(chance, 7, 11),
        .branch_pull = 0.008 / scene->scale,
        .branch_part = 0.55,
        .thinnest = 0.12 * scene->scale,
    };
    const double to_macula = scene->macula_x < scene->disc_x ? half_turn : 0;
    const double side = to_macula > 0 ? -1 : 1;
    for (int i = 0; i < 8; i++) {
        /* Two arcades with an artery and a vein each bend round the macula, the others go away. */
        const bool arcade = i < 4;
        const double up = i % 2 == 0 ? -1 : 1;
        const double angle =
            arcade ? chance_between(chance, 0.9, 1.5) : chance_between(chance, 1.9, 2.9);
        const struct vessel vessel = {
            .x = scene->disc_x,
            .y = scene->disc_y,
            .angle = to_macula + up * side * angle,
            .radius = scene->scale * (arcade ? chance_between(chance, 0.45, 0.8)
                                             : chance_between(chance, 0.3, 0.55)),
            .length = scene->radius * chance_between(chance, 1.1, 1.7),
            .bend = arcade ? -up * side * chance_between(chance, 0.8, 1.3) / scene->radius : 0,
            .crosses = true,
        };
        vessel_grow(&tree, vessel, 2, chance);
    }
}

/* A place in the field of view, away from the disc. */
static void choose_place(double *x, double *y, const struct scene *scene, struct chance *chance)
{
    double to_disc;
    do {
        const double away = 0.9 * scene->radius * sqrt(chance_unit(chance));
        const double turn = chance_between(chance, -half_turn, half_turn);
        *x = scene->center_x + away * cos(turn);
        *y = scene->center_y + away * sin(turn);
        to_disc = distance_of(*x, *y, scene->disc_x, scene->disc_y);
    } while (to_disc < 1.3 * scene->disc_radius);
}

/* Moves the pixels of an ellipse towards what `factor` makes of them. */
static void draw_spot(struct image *image, double x, double y, double radius,
                      const double factor[3], struct chance *chance)
{
    const double turn = chance_between(chance, 0, half_turn);
    const double stretch = chance_between(chance, 0.75, 1.35);
    const double reach = radius * 1.5 + 1;
    const int64_t left = (int64_t)fmax(ceil(x - reach), 0);
    const int64_t right = (int64_t)fmin(floor(x + reach), (double)(image->width - 1));
    const int64_t top = (int64_t)fmax(ceil(y - reach), 0);
    const int64_t bottom = (int64_t)fmin(floor(y + reach), (double)(image->height - 1));
    for (int64_t row = top; row <= bottom; row++) {
        for (int64_t column = left; column <= right; column++) {
            const double dx = (double)column - x;
            const double dy = (double)row - y;
            const double along = (dx * cos(turn) + dy * sin(turn)) * stretch;
            const double across = (dy * cos(turn) - dx * sin(turn)) / stretch;
            const double part = fmin(fmax(radius + 0.5 - distance_of(0, 0, along, across), 0), 1);
            for (int32_t c = 0; c < 3; c++) {
                float *pixel = image_plane(image, c) + row * image->width + column;
                *pixel *= (float)(1 + part * (factor[c] - 1));
            }
        }
    }
}

static void draw_spots(struct image *image, const struct scene *scene, int64_t count,
                       double smallest, double largest, const double factor[3],
                       struct chance *chance)
{
    for (int64_t i = 0; i < count; i++) {
        double x;
        double y;
        double shade[3];
        const double depth = chance_between(chance, 0.6, 1.15);
        for (int c = 0; c < 3; c++) {
            shade[c] = 1 + depth * (factor[c] - 1);
        }
        choose_place(&x, &y, scene, chance);
        draw_spot(image, x, y, scene->scale * chance_between(chance, smallest, largest), shade,
                  chance);
    }
}

/* A few specks close together. */
static void draw_cluster(struct image *image, const struct scene *scene, double size,
                         const double factor[3], struct chance *chance)
{
    double x;
    double y;
    choose_place(&x, &y, scene, chance);
    const int64_t specks = 2 + chance_below(chance, 4);
    for (int64_t i = 0; i < specks; i++) {
        draw_spot(image, x + 2.0 * scene->scale * chance_normal(chance),
                  y + 2.0 * scene->scale * chance_normal(chance),
                  scene->scale * size * chance_between(chance, 0.35, 0.85), factor, chance);
    }
}

/* A tangle of fine vessels, most often beside the disc. */
static void draw_new_vessels(struct image *cover, const struct scene *scene, struct chance *chance)
{
    struct vessel_tree tree = {
        .cover = cover,
        .center_x = -scene->radius,
        .center_y = -scene->radius,
        .wobble = 0.45 / sqrt(scene->scale),
        .branch_distance = 3 * scene->scale,
        .branch_part = 0.55,
        .thinnest = 0.1 * scene->scale,
    };
    double x;
    double y;
    choose_place(&x, &y, scene, chance);
    for (int i = 0; i < 4; i++) {
        const struct vessel vessel = {
            .x = x,
            .y = y,
            .angle = chance_between(chance, -half_turn, half_turn),
            .radius = 0.35 * scene->scale,
            .length = scene->scale * chance_between(chance, 5, 10),
            .crosses = true,
        };
        vessel_grow(&tree, vessel, 1, chance);
    }
}

static void draw_signs(struct image *image, const struct scene *scene, double severity,
                       const struct signs *signs, struct chance *chance)
{
    static const double dot[] = {0.72, 0.45, 0.55};
    static const double blot[] = {0.6, 0.34, 0.45};
    static const double pale[] = {1.35, 1.75, 1.6};
    static const double dust[] = {0.86, 0.84, 0.82};
    static const double glint[] = {1.08, 1.12, 1.15};
    const double size = 1 + 0.12 * severity;
    draw_spots(image, scene, poisson(chance, 4), 0.5, 1.3, dust, chance);
    draw_spots(image, scene, poisson(chance, 4), 0.5, 1.3, glint, chance);
    draw_spots(image, scene, poisson(chance, signs->dots), 0.45, 0.65 * size, dot, chance);
    draw_spots(image, scene, poisson(chance, signs->blots), 1.0, 1.7 * size, blot, chance);
    for (int64_t clusters = poisson(chance, signs->pale / 2); clusters > 0; clusters--) {
        draw_cluster(image, scene, size, pale, chance);
    }
}

/* The eye without signs: light, disc, macula; not yet of the right colour. */
static void paint_background(struct image *image, const struct image *light,
                             const struct image *cover, const struct scene *scene,
                             struct chance *chance)
{
    const double slope_x = 0.3 * chance_normal(chance) / scene->radius;
    const double slope_y = 0.2 * chance_normal(chance) / scene->radius;
    const double falloff = chance_between(chance, 0, 0.5);
    const double macula = chance_between(chance, 0.15, 0.5);
    const double disc[] = {0.45, chance_between(chance, 0.6, 1.2),
                           chance_between(chance, 0.4, 1.2)};
    static const double vessel[] = {0.3, 0.5, 0.4};
    for (int64_t y = 0; y < image->height; y++) {
        for (int64_t x = 0; x < image->width; x++) {
            const int64_t i = y * image->width + x;
            const double dx = (double)x - scene->center_x;
            const double dy = (double)y - scene->center_y;
            const double away = (dx * dx + dy * dy) / (scene->radius * scene->radius);
            const double to_disc = distance_of((double)x, (double)y, scene->disc_x, scene->disc_y);
            const double to_macula =
                distance_of((double)x, (double)y, scene->macula_x, scene->macula_y);
            const double broad = 1 + slope_x * dx + slope_y * dy - falloff * away +
                                 0.08 * light->pixels[i] +
                                 0.25 * soft_spot(to_disc, 5 * scene->disc_radius);
            const double even =
                fmax(broad, 0.12) * (1 - macula * soft_spot(to_macula, 0.35 * scene->radius));
            const double in_disc = fmin(fmax((scene->disc_radius - to_disc) / scene->scale, 0), 1);
            for (int32_t c = 0; c < 3; c++) {
                image_plane(image, c)[i] =
                    (float)(scene->colour[c] * even * (1 + disc[c] * in_disc) *
                            (1 - vessel[c] * fmin(cover->pixels[i], 1)));
            }
        }
    }
}

/* The part of each pixel inside the field of view. */
static void fill_view(struct image *view, const struct scene *scene)
{
    for (int64_t y = 0; y < view->height; y++) {
        for (int64_t x = 0; x < view->width; x++) {
            const double away = distance_of((double)x, (double)y, scene->center_x, scene->center_y);
            view->pixels[y * view->width + x] = (float)fmin(fmax(scene->radius - away, 0), 1);
        }
    }
}

/* Brings the mean of each channel in the field of view to what the scene wants, so that it tells
 * nothing of the signs. */
static void set_mean_colour(struct image *image, const struct image *view,
                            const struct scene *scene)
{
    for (int32_t c = 0; c < 3; c++) {
        float *plane = image_plane(image, c);
        double sum = 0;
        double area = 0;
        for (int64_t i = 0; i < image_pixels(image); i++) {
            sum += view->pixels[i] * plane[i];
            area += view->pixels[i];
        }
        const float gain = (float)(scene->colour[c] * area / sum);
        for (int64_t i = 0; i < image_pixels(image); i++) {
            plane[i] *= gain;
        }
    }
}

/* A bright rim here and there, the black round the field of view, and noise. */
static void expose(struct image *image, const struct image *view, const struct scene *scene,
                   struct chance *chance)
{
    const double rim = chance_happens(chance, 0.4) ? chance_between(chance, 0.1, 0.5) : 0;
    const double rim_turn = chance_between(chance, -half_turn, half_turn);
    const double rim_x = cos(rim_turn);
    const double rim_y = sin(rim_turn);
    for (int64_t y = 0; y < image->height; y++) {
        for (int64_t x = 0; x < image->width; x++) {
            const int64_t i = y * image->width + x;
            const double dx = ((double)x - scene->center_x) / scene->radius;
            const double dy = ((double)y - scene->center_y) / scene->radius;
            const double away = distance_of(0, 0, dx, dy);
            const double edge = fmax(away - 0.85, 0) / 0.15;
            const double facing = 0.5 + 0.5 * (dx * rim_x + dy * rim_y) / fmax(away, 1e-3);
            const double glow = rim * edge * edge * facing * facing;
            const double noise = scene->noise * (0.4 + view->pixels[i]);
            for (int32_t c = 0; c < 3; c++) {
                float *pixel = image_plane(image, c) + i;
                const double value =
                    (*pixel + glow) * view->pixels[i] + 0.01 + noise * chance_normal(chance);
                *pixel = (float)fmin(fmax(value, 0), 1);
            }
        }
    }
}

static bool check(int64_t width, int64_t height, int32_t grade, struct image_error *error)
{
    if (width < 16 || height < 16) {
        return image_fail(error, "fundus of %lld x %lld: expected sides of 16 or more",
                          (long long)width, (long long)height);
    }
    if (grade < 0 || grade >= FUNDUS_GRADES) {
        return image_fail(error, "fundus of grade %d: expected 0 to %d", (int)grade,
                          FUNDUS_GRADES - 1);
    }
    return true;
}

bool fundus_create(struct image *result, int64_t width, int64_t height, int32_t grade,
                   uint64_t seed, uint64_t index, struct image_error *error)
{
    struct chance chance = chance_start(seed, index);
    struct image cover = {0};
    struct image light = {0};
    struct image view = {0};
    *result = (struct image){0};
    if (!check(width, height, grade, error)) {
        return false;
    }
    const struct scene scene = choose_scene(width, height, &chance);
    const bool made = image_create(result, width, height, 3, error) &&
                      image_create(&cover, width, height, 1, error) &&
                      image_create(&view, width, height, 1, error) &&
                      field_create(&light, width, height, 12 * scene.scale, &chance, error);
    if (made) {
        const struct signs *signs = &signs_of_grade[grade];
        draw_vessels(&cover, &scene, &chance);
        for (int64_t i = poisson(&chance, signs->new_vessels); i > 0; i--) {
            draw_new_vessels(&cover, &scene, &chance);
        }
        paint_background(result, &light, &cover, &scene, &chance);
        draw_signs(result, &scene, grade, signs, &chance);
        fill_view(&view, &scene);
        set_mean_colour(result, &view, &scene);
        expose(result, &view, &scene, &chance);
    } else {
        image_destroy(result);
    }
    image_destroy(&cover);
    image_destroy(&light);
    image_destroy(&view);
    return made;
}

bool fundus_dataset(struct dataset *result, int64_t first, int64_t count, int64_t width,
                    int64_t height, uint64_t seed, struct image_error *error)
{
    static const char *const grades[FUNDUS_GRADES] = {"0", "1", "2", "3", "4"};
    *result = (struct dataset){0};
    if (!dataset_name_classes(result, grades, FUNDUS_GRADES, error)) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        const int32_t grade = (int32_t)((first + i) % FUNDUS_GRADES);
        struct image image;
        struct image no_mask = {0};
        char name[48];
        snprintf(name, sizeof name, "fundus-%06lld", (long long)(first + i));
        if (!fundus_create(&image, width, height, grade, seed, (uint64_t)(first + i), error) ||
            !dataset_add(result, name, grade, &image, &no_mask, error)) {
            dataset_destroy(result);
            return false;
        }
    }
    return true;
}
