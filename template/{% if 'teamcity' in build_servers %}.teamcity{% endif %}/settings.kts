import jetbrains.buildServer.configs.kotlin.*
import jetbrains.buildServer.configs.kotlin.buildSteps.script
import jetbrains.buildServer.configs.kotlin.triggers.schedule
import jetbrains.buildServer.configs.kotlin.triggers.vcs

// The same file in every repository: what differs between them is in pyproject.toml.
//
// The build prints TeamCity's service messages itself: blocks, tests, artifacts and the build
// number come from there and are not configured here.
//
// Secrets stay on the server. Define these parameters in the TeamCity project above this one:
//   env.OCTOPUS_URL, env.OCTOPUS_API_KEY (a password), env.OCTOPUS_SPACE

version = "2023.11"

project {
    buildType(Build)
    buildType(Reap)
}

object Build : BuildType({
    name = "Build"

    // The counter becomes BUILD_NUMBER; the build replaces it by the version.
    buildNumberPattern = "%build.counter%"

    params {
        text(
            "pipeline.arguments",
            "",
            label = "Arguments",
            description = "For the build verb, for example: --deploy --environments CI,Staging",
            allowEmpty = true
        )
        // TeamCity tells a build its branch in parameters only. This one is there with every VCS
        // root; %teamcity.build.branch% is not where that root has no branch specification, and no
        // agent could run the build then.
        param("env.TEAMCITY_BUILD_BRANCH", "${DslContext.settingsRoot.paramRefs.buildVcsBranch}")
        // Through the environment: text that is pasted into a script would be run as one.
        param("env.PIPELINE_ARGUMENTS", "%pipeline.arguments%")
    }

    vcs {
        root(DslContext.settingsRoot)
        // The build asks git for commit, branch and changes. Where the version comes from tags,
        // choose mirrors in the VCS root's checkout policy: a shallow clone has no tags.
        checkoutMode = CheckoutMode.ON_AGENT
        cleanCheckout = false
    }

    steps {
        script {
            name = "Build"
            // The arguments are split at spaces, and * is no list of files.
            scriptContent = "set -f\npython3 tasks.py build \$PIPELINE_ARGUMENTS"
        }
    }

    triggers {
        vcs {
            branchFilter = "+:*"
        }
    }

    requirements {
        // The script above is one for sh.
        doesNotContain("teamcity.agent.jvm.os.name", "Windows")
    }

    failureConditions {
        executionTimeoutMin = 60
    }
})

// Each night: warns of environments whose time is over, and removes them the night after, where there
// is Octopus. scripts/docs/environments.md tells more.
object Reap : BuildType({
    name = "Reap environments"

    vcs {
        root(DslContext.settingsRoot)
        checkoutMode = CheckoutMode.ON_AGENT
        cleanCheckout = false
    }

    steps {
        script {
            name = "Reap environments"
            conditions {
                exists("env.OCTOPUS_URL")
            }
            scriptContent = "python3 tasks.py env.reap"
        }
    }

    triggers {
        schedule {
            schedulingPolicy = daily {
                hour = 3
            }
            branchFilter = "+:<default>"
            triggerBuild = always()
            withPendingChangesOnly = false
        }
    }

    requirements {
        doesNotContain("teamcity.agent.jvm.os.name", "Windows")
    }

    failureConditions {
        // AWS takes its time to remove a function in a VPC.
        executionTimeoutMin = 120
    }
})
