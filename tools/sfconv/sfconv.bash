# SPDX-License-Identifier: BSD-2-Clause
# Completion of the command sfconv for bash.

_sfconv_options()
{
    case $1 in
        info) echo "--size --plan --json --workers --help" ;;
        spectrum) echo "--csv --histogram --plot --workers --help" ;;
        eval) echo "--set --leave-out --group-by --split-seed --max-pixels --json --workers --help" ;;
        predict) echo "--output --tile --halo --max-pixels --workers --help" ;;
        stats) echo "--csv --max-pixels --help" ;;
        compress) echo "--output --rho --min-rank --budget --size --workers --help" ;;
        train)
            echo "--task --output --method --kl --model --rho --min-rank --epochs --batch --rate" \
                "--crop --size --pad --field-of-view --no-augment --decay --balance --group-by" \
                "--split-seed --lazy --max-pixels --validate-every --leave-out --patience --seed --resume" \
                "--workers --help"
            ;;
        reproduce)
            echo "--task --output --methods --seeds --seed --kl --frobenius --model --rho --min-rank" \
                "--epochs --batch --rate --crop --size --pad --field-of-view --no-augment --decay" \
                "--balance --group-by --split-seed --lazy --max-pixels --validate-every --leave-out" \
                "--no-plots --resume --workers --help"
            ;;
        bench) echo "--size --batch --seconds --json --workers --help" ;;
        *) echo "--help --version" ;;
    esac
}

_sfconv()
{
    local commands="info spectrum eval predict stats compress train reproduce bench"
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "$commands --help --version" -- "$word"))
    elif [ "$before" = --set ]; then
        COMPREPLY=($(compgen -W "test val train all" -- "$word"))
    elif [ "$before" = --balance ]; then
        COMPREPLY=($(compgen -W "weights sampling" -- "$word"))
    elif [ "$before" = --task ]; then
        COMPREPLY=($(compgen -W "classify segment" -- "$word"))
    elif [ "$before" = --method ] || [ "$before" = --methods ]; then
        COMPREPLY=($(compgen -W "conv fconv fconvsn dpcconv sfconv_no_kl sfconv" -- "$word"))
    elif [ "$before" = --model ]; then
        COMPREPLY=($(compgen -W "resnet18 unet tiny tiny_classifier tiny_segmenter" -- "$word"))
    elif [ "${word:0:1}" = - ]; then
        COMPREPLY=($(compgen -W "$(_sfconv_options "${COMP_WORDS[1]}")" -- "$word"))
    fi
}

complete -o default -F _sfconv sfconv
