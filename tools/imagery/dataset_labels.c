/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataset_labels.h"

#include "csv_file.h"
#include "folder.h"
#include "image_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct listed_file {
    char *path;
    const char *label; /* in the table */
    int64_t line;
    int part;
};

/* What the tables of all parts list. */
struct listing {
    struct dataset_loader *loader;
    const struct label_sources *sources;
    struct csv tables[3];
    struct listed_file *files; /* in the order of their paths once complete */
    int64_t count;
};

static bool is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

void label_sources_destroy(struct label_sources *sources)
{
    for (int i = 0; i < 3; i++) {
        free(sources->parts[i].table);
        free(sources->parts[i].folder);
    }
    *sources = (struct label_sources){0};
}

/* Sets a part to FOLDER/TABLE with images in FOLDER/IMAGES. */
static bool set_source(struct label_source *source, const char *folder, const char *table,
                       const char *images, struct image_error *error)
{
    source->ending = "";
    source->table = folder_path(folder, table);
    source->folder = images ? folder_path(folder, images) : strdup(folder);
    return (source->table && source->folder) || image_fail(error, "%s: out of memory", folder);
}

static bool set_idrid(struct label_sources *result, const char *folder, struct image_error *error)
{
    static const char *const tables[] = {
        "2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv", NULL,
        "2. Groundtruths/b. IDRiD_Disease Grading_Testing Labels.csv"};
    static const char *const images[] = {"1. Original Images/a. Training Set", NULL,
                                         "1. Original Images/b. Testing Set"};
    result->is_split = true;
    for (int i = 0; i < 3; i += 2) {
        struct label_source *source = &result->parts[i];
        if (!set_source(source, folder, tables[i], images[i], error)) {
            return false;
        }
        source->ending = ".jpg";
        source->name_column = "Image name";
        source->label_column = "Retinopathy grade";
    }
    return true;
}

/* Whether FOLDER/NAME is there, as a folder or as a file; false as well without memory. */
static bool holds(const char *folder, const char *name, bool (*is_there)(const char *path))
{
    char *path = folder_path(folder, name);
    const bool there = path && is_there(path);
    free(path);
    return there;
}

static bool set_tables(struct label_sources *result, const char *folder, struct image_error *error)
{
    static const char *const names[] = {"train.csv", "val.csv", "test.csv"};
    if (holds(folder, "labels.csv", is_file)) {
        return set_source(&result->parts[0], folder, "labels.csv", NULL, error);
    }
    result->is_split = holds(folder, names[0], is_file);
    for (int i = 0; i < 3 && result->is_split; i++) {
        if (holds(folder, names[i], is_file) &&
            !set_source(&result->parts[i], folder, names[i], NULL, error)) {
            return false;
        }
    }
    return true;
}

/* The path is that of a table. */
static bool set_one_table(struct label_sources *result, const char *path, struct image_error *error)
{
    struct label_source *source = &result->parts[0];
    const char *slash = strrchr(path, '/');
    source->ending = "";
    source->table = strdup(path);
    source->folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    return (source->table && source->folder) || image_fail(error, "%s: out of memory", path);
}

bool label_sources_find(struct label_sources *result, const char *path, struct image_error *error)
{
    static const char grading[] = "B. Disease Grading";
    static const char originals[] = "1. Original Images";
    bool found = true;
    *result = (struct label_sources){0};
    if (is_file(path)) {
        found = set_one_table(result, path, error);
    } else if (holds(path, originals, folder_exists)) {
        found = set_idrid(result, path, error);
    } else if (holds(path, grading, folder_exists)) {
        char *inside = folder_path(path, grading);
        found = inside ? set_idrid(result, inside, error)
                       : image_fail(error, "%s: out of memory", path);
        free(inside);
    } else {
        found = set_tables(result, path, error);
    }
    if (!found) {
        label_sources_destroy(result);
    }
    return found;
}

/* Whether the texts are the same but for spaces round the first. */
static bool is_column(const char *field, const char *name)
{
    const size_t length = strlen(name);
    field += strspn(field, " \t");
    return strncmp(field, name, length) == 0 && field[length + strspn(field + length, " \t")] == 0;
}

static bool find_column(const struct csv *table, const char *path, const char *name,
                        int64_t *column, struct image_error *error)
{
    const struct csv_row *header = table->rows;
    for (*column = 0; header && *column < header->count; ++*column) {
        if (is_column(csv_field(table, header, *column), name)) {
            return true;
        }
    }
    return image_fail(error, "%s: no column \"%s\"", path, name);
}

static char *path_of(const struct label_source *source, const char *name)
{
    while (strncmp(name, "./", 2) == 0) {
        name += 2;
    }
    char *bare = name[0] == '/' ? strdup(name) : folder_path(source->folder, name);
    const size_t bytes = bare ? strlen(bare) + strlen(source->ending) + 1 : 0;
    char *path = bare ? realloc(bare, bytes) : NULL;
    if (path) {
        strcat(path, source->ending);
    } else {
        free(bare);
    }
    return path;
}

static bool is_blank(const struct csv *table, const struct csv_row *row)
{
    bool blank = true;
    for (int64_t i = 0; i < row->count; i++) {
        blank = blank && csv_field(table, row, i)[0] == '\0';
    }
    return blank;
}

static bool list_row(struct listing *listing, int part, const struct csv_row *row,
                     const int64_t *columns)
{
    const struct label_source *source = &listing->sources->parts[part];
    const struct csv *table = &listing->tables[part];
    struct image_error *error = listing->loader->error;
    const char *name = csv_field(table, row, columns[0]);
    const char *label = csv_field(table, row, columns[1]);
    if (name[0] == '\0') {
        return image_fail(error, "%s: line %lld: the label %s without a file", source->table,
                          (long long)row->line, label);
    }
    if (label[0] == '\0') {
        return image_fail(error, "%s: line %lld: %s without a label", source->table,
                          (long long)row->line, name);
    }
    char *path = path_of(source, name);
    if (!path) {
        return image_fail(error, "%s: out of memory", source->table);
    }
    if (dataset_is_left_out(listing->loader, path)) {
        free(path);
        return true;
    }
    listing->files[listing->count++] = (struct listed_file){path, label, row->line, part};
    return is_file(path) || image_fail(error, "%s: no such file, but %s lists it (line %lld)", path,
                                       source->table, (long long)row->line);
}

static bool list_table(struct listing *listing, int part)
{
    const struct label_source *source = &listing->sources->parts[part];
    struct csv *table = &listing->tables[part];
    struct image_error *error = listing->loader->error;
    int64_t columns[2] = {0, 1};
    if (!csv_read(table, source->table, error)) {
        return false;
    }
    const bool named = source->name_column != NULL;
    if (named && (!find_column(table, source->table, source->name_column, &columns[0], error) ||
                  !find_column(table, source->table, source->label_column, &columns[1], error))) {
        return false;
    }
    const bool headed =
        named || (table->row_count > 0 && !image_name_is_known(csv_field(table, table->rows, 0)));
    const int64_t room = listing->count + table->row_count + 1;
    struct listed_file *files = realloc(listing->files, (size_t)room * sizeof *files);
    if (!files) {
        return image_fail(error, "%s: out of memory", source->table);
    }
    listing->files = files;
    for (int64_t i = headed; i < table->row_count; i++) {
        if (!is_blank(table, &table->rows[i]) &&
            !list_row(listing, part, &table->rows[i], columns)) {
            return false;
        }
    }
    return true;
}

static int compare_paths(const void *a, const void *b)
{
    const struct listed_file *first = a;
    const struct listed_file *second = b;
    return strcmp(first->path, second->path);
}

static bool list_all(struct listing *listing)
{
    for (int part = 0; part < 3; part++) {
        if (listing->sources->parts[part].table && !list_table(listing, part)) {
            return false;
        }
    }
    if (listing->count == 0) {
        return image_fail(listing->loader->error, "%s: no files in it",
                          listing->sources->parts[0].table);
    }
    qsort(listing->files, (size_t)listing->count, sizeof *listing->files, compare_paths);
    for (int64_t i = 1; i < listing->count; i++) {
        const struct listed_file *file = &listing->files[i];
        if (compare_paths(file - 1, file) == 0) {
            return image_fail(listing->loader->error,
                              "%s: listed twice (%s, line %lld; %s, line "
                              "%lld)",
                              file->path, listing->sources->parts[file[-1].part].table,
                              (long long)file[-1].line, listing->sources->parts[file->part].table,
                              (long long)file->line);
        }
    }
    return true;
}

/* Checks that every image of a folder is listed. */
static bool check_folder(struct listing *listing, const char *folder, const char *table)
{
    struct folder images;
    bool complete = folder_images(&images, folder, listing->loader->error);
    for (int64_t i = 0; complete && i < images.count; i++) {
        struct listed_file wanted = {.path = folder_path(folder, images.names[i])};
        if (!wanted.path) {
            complete = image_fail(listing->loader->error, "%s: out of memory", folder);
        } else if (!bsearch(&wanted, listing->files, (size_t)listing->count, sizeof wanted,
                            compare_paths) &&
                   !dataset_is_left_out(listing->loader, wanted.path)) {
            complete = image_fail(listing->loader->error, "%s: an image without a label in %s",
                                  wanted.path, table);
        }
        free(wanted.path);
    }
    listing->loader->ignored += images.ignored;
    folder_destroy(&images);
    return complete;
}

static size_t folder_length(const char *path)
{
    return (size_t)(strrchr(path, '/') - path);
}

/* Each folder once: files of one folder need not be neighbours ("a/1", "a/b/1", "a/c"), but the
 * first of them tells. */
static bool is_first_of_folder(const struct listing *listing, int64_t index)
{
    const char *path = listing->files[index].path;
    const size_t length = folder_length(path);
    for (int64_t i = index; i-- > 0;) {
        const char *before = listing->files[i].path;
        if (strncmp(before, path, length + 1) != 0) {
            return true;
        }
        if (folder_length(before) == length) {
            return false;
        }
    }
    return true;
}

static bool check_folders(struct listing *listing)
{
    for (int64_t i = 0; i < listing->count; i++) {
        const struct listed_file *file = &listing->files[i];
        if (!is_first_of_folder(listing, i)) {
            continue;
        }
        char *folder = strndup(file->path, folder_length(file->path));
        const bool complete =
            folder ? check_folder(listing, folder, listing->sources->parts[file->part].table)
                   : image_fail(listing->loader->error, "%s: out of memory", file->path);
        free(folder);
        if (!complete) {
            return false;
        }
    }
    return true;
}

static int compare_labels(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The labels of the training set in order, each once. */
static bool name_classes(const struct listing *listing, struct dataset_split *split)
{
    struct image_error *error = listing->loader->error;
    const char **names = calloc((size_t)listing->count + 1, sizeof *names);
    int64_t count = 0;
    int32_t distinct = 0;
    if (!names) {
        return image_fail(error, "%s: out of memory", listing->sources->parts[0].table);
    }
    for (int64_t i = 0; i < listing->count; i++) {
        if (listing->files[i].part == 0) {
            names[count++] = listing->files[i].label;
        }
    }
    qsort(names, (size_t)count, sizeof *names, compare_labels);
    for (int64_t i = 0; i < count; i++) {
        if (distinct == 0 || strcmp(names[distinct - 1], names[i]) != 0) {
            names[distinct++] = names[i];
        }
    }
    bool named = true;
    struct dataset *const parts[] = {&split->train, &split->val, &split->test};
    for (int i = 0; i < 3 && named; i++) {
        if (listing->sources->parts[i].table) {
            named = dataset_name_classes(parts[i], names, distinct, error);
        }
    }
    free(names);
    return named;
}

static bool add_all(struct listing *listing, struct dataset_split *split)
{
    struct dataset *const parts[] = {&split->train, &split->val, &split->test};
    for (int64_t i = 0; i < listing->count; i++) {
        struct listed_file *file = &listing->files[i];
        struct dataset *part = parts[file->part];
        const int32_t label = dataset_class_number(part, file->label);
        if (label < 0) {
            return image_fail(listing->loader->error,
                              "%s: class '%s', which the training set lacks", file->path,
                              file->label);
        }
        char *path = file->path;
        file->path = NULL;
        if (!dataset_add_files(listing->loader, part, path, NULL, label)) {
            return false;
        }
    }
    return true;
}

bool dataset_load_labels(struct dataset_loader *loader, struct dataset_split *split,
                         const struct label_sources *sources)
{
    struct listing listing = {.loader = loader, .sources = sources};
    const bool loaded = list_all(&listing) && check_folders(&listing) &&
                        name_classes(&listing, split) && add_all(&listing, split);
    for (int64_t i = 0; i < listing.count; i++) {
        free(listing.files[i].path);
    }
    free(listing.files);
    for (int part = 0; part < 3; part++) {
        csv_destroy(&listing.tables[part]);
    }
    return loaded;
}
